"""Alignment behind the emissions: `ctc` against whisperX's own, on the same emissions.

    python -m benchmarks.words.alignment_speed [--windows 16] [--rounds 5]

Both get the same windows, words and precomputed emissions, so what is timed is everything but
the model: spelling, trellis, backtrack, times of words. Processor time of this process, one
thread, in alternating rounds. Two workloads: windows of 30 s with about 75 words of random
letters and random emissions; and recordings of the held-out speech, heard by pico-align. Exit
status 1 if `ctc` takes more than a fifth of whisperX's time, or a word differs by more than a
frame.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.machine import print_machine
from gpu_worker.alignment import Aligner, AlignerRequest, SpokenWindow, align
from gpu_worker.alignment.ctc import CtcAligner
from gpu_worker.alignment.emissions import load_emission_model
from gpu_worker.alignment.whisperx import WhisperxAligner
from gpu_worker.pcm import SAMPLE_RATE
from tests.inputs.speech import recording

_BOUND = 0.2  # of whisperX's time
_SECONDS, _FRAMES, _WORDS = 30, 1499, 75  # of a window of wav2vec2
_LETTERS = "abcdefghijklmnopqrstuvwxyz'"
Emissions = list[np.ndarray[Any, np.dtype[np.float32]]]


@dataclass(frozen=True, slots=True)
class Workload:
    """Windows and what a model heard in them."""

    name: str
    windows: list[SpokenWindow]
    emissions: Emissions
    vocabulary: dict[str, int]


class Heard:
    """A model that knows its answers, in both aligners' forms."""

    device = "cpu"

    def __init__(self, workload: Workload) -> None:
        self.vocabulary = workload.vocabulary
        self._emissions = workload.emissions
        self._next: Iterator[torch.Tensor] = iter(())

    def emissions(self, windows: Sequence[Any]) -> Emissions:
        """All at once, for `ctc`."""
        return self._emissions

    def rewind(self) -> None:
        """Begin with the first window again."""
        self._next = iter([torch.from_numpy(emission)[None] for emission in self._emissions])

    def __call__(self, samples: torch.Tensor) -> SimpleNamespace:
        """One window after the other, for whisperX; a second log softmax changes nothing."""
        return SimpleNamespace(logits=next(self._next))


def random_workload(count: int) -> Workload:
    """Random letters in random emissions, which are as peaked as a trained model's."""
    dice = np.random.default_rng(0)
    vocabulary = {"<pad>": 0, "|": 1} | {letter: 2 + i for i, letter in enumerate(_LETTERS)}
    emissions = [
        torch.log_softmax(
            torch.from_numpy(dice.normal(0, 4, (_FRAMES, len(vocabulary))).astype(np.float32)), -1
        ).numpy()
        for _ in range(count)
    ]
    audio = np.zeros(_SECONDS * SAMPLE_RATE, dtype=np.float32)
    windows = [
        SpokenWindow(
            audio,
            tuple(
                "".join(dice.choice(list(_LETTERS), size=dice.integers(1, 10)))
                for _ in range(_WORDS)
            ),
        )
        for _ in range(count)
    ]
    return Workload("random", windows, emissions, vocabulary)


def spoken_workload(count: int) -> Workload:
    """Real words, spoken one after the other with short pauses, as pico-align hears them."""
    model = load_emission_model(AlignerRequest("ctc", "pico-align", "en", device="cpu"))
    windows = []
    for seed in range(count):
        audio, said = recording(_SECONDS, seed=seed, gap=(0.05, 0.2))
        fitting = [one for one in said if one.end <= _SECONDS]
        words = tuple(" ".join(one.text for one in fitting).split())
        windows.append(SpokenWindow(audio[: _SECONDS * SAMPLE_RATE], words))
    emissions = [model.emissions([window.audio])[0] for window in windows]
    return Workload("speech", windows, emissions, model.vocabulary)


def compare(workload: Workload, rounds: int) -> bool:
    """Run both in turn and print a line; whether it is within the bounds."""
    heard = Heard(workload)
    ours = CtcAligner(heard, "en")  # type: ignore[arg-type]  # it has what is used of a model
    metadata = {"language": "en", "dictionary": workload.vocabulary, "type": "huggingface"}
    theirs = WhisperxAligner(heard, metadata, "cpu")

    def time_words(aligner: Aligner) -> Any:
        heard.rewind()
        return align(aligner, workload.windows)

    found, expected = time_words(ours), time_words(theirs)  # and both are warm
    taken: dict[str, list[float]] = {"ctc": [], "whisperx": []}
    for _ in range(rounds):
        taken["whisperx"].append(_processor_seconds(lambda: time_words(theirs)))
        taken["ctc"].append(_processor_seconds(lambda: time_words(ours)))
    ratios = [a / b for a, b in zip(taken["ctc"], taken["whisperx"], strict=True)]
    ratio, count = statistics.median(ratios), len(workload.windows)
    frame = _SECONDS / len(workload.emissions[0])
    differences = [
        max(abs(one.start - other.start), abs(one.end - other.end)) / frame
        for mine, reference in zip(found, expected, strict=True)
        for one, other in zip(mine, reference, strict=True)
    ]
    medians = {name: statistics.median(values) / count * 1e3 for name, values in taken.items()}
    print(
        f"{workload.name:<7} {count:>7} {len(differences):>6} {medians['whisperx']:>12.1f} "
        f"{medians['ctc']:>8.2f} {ratio:>8.4f} ({min(ratios):.4f}–{max(ratios):.4f}) "
        f"{max(differences):>8.3f}"
    )
    return ratio <= _BOUND and max(differences) <= 1.0


def _processor_seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main() -> int:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"{'aligners':<10} whisperx {version('whisperx')}, torch {torch.__version__}\n")
    print("ms of processor time a window, medians; ratio ctc ÷ whisperx; difference in frames")
    print("windows   count  words     whisperx      ctc    ratio (range)          max diff")
    workloads = (random_workload(arguments.windows), spoken_workload(arguments.windows))
    within = [compare(workload, arguments.rounds) for workload in workloads]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
