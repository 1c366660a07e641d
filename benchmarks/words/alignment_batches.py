"""What batches save the align model on a CPU, and how far words move in half precision.

    python -m benchmarks.words.alignment_batches [--rounds 3] [--windows 8]

Two tables. The first: processor seconds a minute of audio, one thread, of wav2vec2 at the size of
the base model with random weights (time only), for windows of 5 s, of 30 s, and of 2 to 30 s: one
at a time, all in one batch padded to the longest, and in groups of about one length, as `ctc` runs
them.
The second: pico-align on held-out speech in half precision beside float32: how many starts and
ends of words moved, and how far. Exit status 1 if a batch moves a word's time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from benchmarks.machine import print_machine
from benchmarks.words.alignment_speed import spoken_workload
from gpu_worker.alignment import AlignerRequest, SpokenWindow, align
from gpu_worker.alignment.ctc import CtcAligner
from gpu_worker.alignment.emissions import EmissionModel, load_emission_model
from gpu_worker.alignment.networks import HubModel
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE

_RUNS = ("one at a time", "one padded batch", "in groups")


def run(model: EmissionModel, windows: Sequence[Audio], how: str) -> None:
    """Hear the windows in one of the ways of `_RUNS`."""
    if how == "in groups":
        model.emissions(windows)
    elif how == "one padded batch":
        model._run(windows)
    else:
        for window in windows:
            model.emissions([window])


def processor_seconds(call: Callable[[], object]) -> float:
    """Seconds of this process."""
    began = time.process_time()
    call()
    return time.process_time() - began


def speeds(count: int, rounds: int) -> None:
    """Print the first table: the least of all rounds, in turns."""
    torch.manual_seed(0)
    dice = np.random.default_rng(0)
    network = HubModel(Wav2Vec2ForCTC(Wav2Vec2Config()).eval(), {"-": 0})
    models = {"float32": EmissionModel(network, "cpu")}
    models["bfloat16"] = EmissionModel(network, "cpu", "bfloat16")
    lengths = {
        "5 s": [5.0] * count,
        "30 s": [30.0] * 2,
        "2 to 30 s": list(dice.uniform(2, 30, count)),
    }
    print(f"\nwindows     {'':<10}" + "".join(f"{how:>18}" for how in _RUNS))
    for name, seconds in lengths.items():
        windows = [
            dice.normal(0, 0.1, round(one * SAMPLE_RATE)).astype(np.float32) for one in seconds
        ]
        for kind, model in models.items():
            least = dict.fromkeys(_RUNS, float("inf"))
            for _ in range(rounds):
                for how in _RUNS:
                    taken = processor_seconds(partial(run, model, windows, how))
                    least[how] = min(least[how], taken)
            figures = "".join(f"{60 * least[how] / sum(seconds):>18.2f}" for how in _RUNS)
            print(f"{name:<11} {kind:<10}{figures}", flush=True)


def edges(model: EmissionModel, windows: Sequence[SpokenWindow]) -> np.ndarray[Any, Any]:
    """The starts and ends of all words in seconds."""
    words = [word for found in align(CtcAligner(model, "en"), windows) for word in found]
    return np.array([edge for word in words for edge in (word.start, word.end)])


def differences(count: int) -> bool:
    """Print the second table; return whether a batch changes no time."""
    windows = spoken_workload(count).windows
    request = AlignerRequest("ctc", "pico-align", "en", device="cpu")
    model = load_emission_model(request)
    alone = np.concatenate([edges(model, [window]) for window in windows])
    together = edges(model, windows)
    sides = {"in one batch": together} | {
        kind: edges(load_emission_model(replace(request, compute_type=kind)), windows)
        for kind in ("float16", "bfloat16")
    }
    print(f"\npico-align: {len(alone)} starts and ends; of them moved, and the farthest in ms")
    for name, found in sides.items():
        far = np.abs(found - alone)
        print(f"{name:<14}{int((far > 1e-4).sum()):>6}{1000 * far.max():>8.0f}", flush=True)
    return bool(np.allclose(together, alone, atol=1e-4))


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    speeds(given.windows, given.rounds)
    return 0 if differences(24) else 1


if __name__ == "__main__":
    sys.exit(main())
