"""One long file on 1, 2 and 4 workers: how busy each is, and how well they share the work.

    python -m benchmarks.speed.scaling [--workers 1 2 4] [--model fake-20x] [--minutes 20]
    python -m benchmarks.speed.scaling --real tiny.en   # on 1 worker, and on one for each core

The `fake` engine sleeps instead of computing, so the device is never the limit and what is missing
to an efficiency of 1 is the cluster's own: its messages, its chunks, and the speech detection,
which is real. Efficiency is the time of one worker over n times that of n. Every cluster is new and
warm, the order of the sizes alternates, and each round has a file of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import NAMES
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from benchmarks.speed.inputs import LONG, SHORT, Speech
from benchmarks.speed.models import setup_of
from benchmarks.speed.rounds import order
from benchmarks.speed.sides import Setup
from benchmarks.speed.sides.ours import OurCluster, options_of_job

WARM_UP_SEED = 990  # no round's


def measured(
    setup: Setup, workers: int, number: int, speech: Speech, minutes: float, scratch: Path
) -> dict[str, Any]:
    """One file on a new cluster."""
    [warm_up] = speech.write(scratch, SHORT, WARM_UP_SEED, minutes, 1)
    [file] = speech.write(scratch, LONG, number, minutes, 1)
    with OurCluster(options_of_job(setup), workers) as cluster:
        cluster.warm_up(warm_up.path)
        clock = ProcessorTime(os.getpid())
        started = time.perf_counter()
        heard = cluster.transcribe([file.path])
        seconds = time.perf_counter() - started
        own, others = clock.stop()
    return {
        "round": number,
        "workers": workers,
        "seconds": round(seconds, 3),
        "audio_seconds": round(file.seconds, 2),
        "cpu_seconds": round(own, 2),
        "other_share": round(others / (seconds * (os.cpu_count() or 1)), 4),
        "busy": heard.busy,
    }


def efficiencies(samples: list[dict[str, Any]]) -> dict[int, float]:
    """By number of workers: the median over the rounds of t1 / (n × tn). Pure."""
    alone = {each["round"]: each["seconds"] for each in samples if each["workers"] == 1}
    found: dict[int, list[float]] = {}
    for each in samples:
        if each["round"] in alone:
            share = alone[each["round"]] / (each["workers"] * each["seconds"])
            found.setdefault(each["workers"], []).append(share)
    return {workers: round(statistics.median(own), 3) for workers, own in sorted(found.items())}


def main() -> int:
    """Print every sample and the efficiencies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, nargs="+", default=None)
    parser.add_argument("--model", default="fake-20x", help="fake-<N>x: seconds of audio a second")
    parser.add_argument("--real", choices=NAMES, default=None, help="a model that computes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--model-directory", type=Path, default=None, help="holds NAME/model.bin")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the cluster
    print_machine()
    cores = os.cpu_count() or 1
    sizes = given.workers or (sorted({1, cores}) if given.real else [1, 2, 4])
    speech = Speech(given.speech)
    samples: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="scriptorium-scaling-") as name:
        scratch = Path(name)
        setup = (
            setup_of(given.real, given.model_directory, scratch, 0)
            if given.real
            else Setup(given.model, "", 1)
        )
        for number in range(given.rounds):
            for workers in order(sizes, number):
                found = measured(setup, workers, number, speech, given.minutes, scratch)
                samples.append(found)
                print(json.dumps(found), flush=True)
    found = {
        "machine": describe_machine(),
        "model": given.real or given.model,
        "efficiency": efficiencies(samples),
        "samples": samples,
    }
    print(f"\n{found['model']}: efficiency by workers {found['efficiency']}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
