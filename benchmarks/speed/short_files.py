"""What batches of the windows of many files bring: all files at once, and one after the other.

    python -m benchmarks.speed.short_files [--model tiny.en] [--workers 1] [--files 60] [--rounds 3]
                                           [--speech DIRECTORY] [--json FILE]

Files of about one minute of real speech, through a warm cluster of workers of one thread. Each
round takes other files, and its two halves alternate. Prints the seconds, their ratio and the mean
fill of the batches: windows in them over windows that they had room for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import whisper_files
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.machine import describe_machine
from benchmarks.speed.inputs import SHORT, Speech
from benchmarks.speed.sides import Setup
from benchmarks.speed.sides.ours import OurCluster, options_of_job


def measured(cluster: OurCluster, work: Callable[[], object]) -> dict[str, float]:
    """Seconds of the work, and the fill of its batches."""
    before, began = cluster.batches(), time.monotonic()
    work()
    seconds = time.monotonic() - began
    return {
        "seconds": round(seconds, 2),
        "fill": round(cluster.batches().fill_since(before), 3),
    }


def main() -> None:
    """Measure, print a line for each round, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    speech, files = Speech(given.speech), whisper_files(given.model)
    setup = Setup(files.job, str(files.directory), given.workers)
    rounds: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as name,
        OurCluster(options_of_job(setup), given.workers) as cluster,
    ):
        cluster.warm_up(speech.write(Path(name) / "warm", SHORT, 400, 1, 1)[0].path)
        for number in range(given.rounds):
            found: dict[str, Any] = {}
            for half in ("at_once", "one_by_one") if number % 2 else ("one_by_one", "at_once"):
                seed = 2 * number + (half == "at_once")
                inputs = speech.write(Path(name) / f"{seed}", SHORT, seed, 1, given.files)
                paths = [each.path for each in inputs]
                if half == "at_once":
                    found[half] = measured(cluster, lambda p=paths: cluster.transcribe(p))  # type: ignore[misc]
                else:
                    found[half] = measured(
                        cluster,
                        lambda p=paths: [cluster.transcribe([path]) for path in p],  # type: ignore[misc]
                    )
            found["ratio"] = round(found["one_by_one"]["seconds"] / found["at_once"]["seconds"], 3)
            rounds.append(found)
            print(json.dumps(found), flush=True)
    report = {
        "machine": describe_machine(),
        "model": given.model,
        "workers": given.workers,
        "files": given.files,
        "rounds": rounds,
        "median_ratio": statistics.median(found["ratio"] for found in rounds),
        "median_fill": statistics.median(found["at_once"]["fill"] for found in rounds),
    }
    print(json.dumps({key: report[key] for key in ("median_ratio", "median_fill")}))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
