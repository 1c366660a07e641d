"""How the files of a model get into memory: by their directory, mapped, as bytes, as open files.

    python -m benchmarks.speed.start_up.loading_paths [--model base] [--rounds 5] [--json FILE]

Each load is the first of a new process. CTranslate2 takes files of its own choosing, or objects in
place of them; `mapped` gives it maps, which need not be copied. `found` is what it takes before
that to find a model that was fetched earlier, without a network.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.speed.rounds import order
from orchestrator.local.workers import KEEP_MEMORY


def mapped(path: Path) -> Any:
    """The file's pages, which are read when they are needed."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


FORMS: Mapping[str, Callable[[Path], Any] | None] = {
    "directory": None,
    "mapped": mapped,
    "bytes": Path.read_bytes,
    "open files": lambda path: path.open("rb"),
}


def load(form: str, model: str, compute_type: str) -> dict[str, float]:
    """Load the model into this process; it must be the first."""
    import ctranslate2

    from gpu_worker.models.whisper import cached_model, find_model

    started = time.perf_counter()
    directory = cached_model(find_model(model), None)
    assert directory is not None, "fetch the model first"
    found = time.perf_counter()
    before, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    opened = FORMS[form]
    files = None if opened is None else {each.name: opened(each) for each in directory.iterdir()}
    loaded = ctranslate2.models.Whisper(
        str(directory), device="cpu", compute_type=compute_type, files=files
    )
    ended = time.perf_counter()
    assert loaded.is_multilingual is not None
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "found_seconds": round(found - started, 3),
        "seconds": round(ended - found, 3),
        "processor_seconds": round(time.process_time() - used, 3),
        "peak_mb": round(more * 1024 / 1e6),
    }


def measure(
    model: str, compute_types: tuple[str, ...], rounds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by compute type and form; the forms take turns."""
    found = {}
    environment = {**os.environ, **KEEP_MEMORY}  # as a worker
    for compute_type in compute_types:
        samples: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
        for number in range(rounds):
            for form in order(list(FORMS), number):
                command = [sys.executable, "-m", __spec__.name, "--one", form, model, compute_type]
                ended = subprocess.run(
                    command, env=environment, stdout=subprocess.PIPE, text=True, check=True
                )
                samples[form].append(json.loads(ended.stdout))
        found[compute_type] = {
            form: {key: round(statistics.median(s[key] for s in own), 3) for key in own[0]}
            for form, own in samples.items()
        }
    return found


def main() -> None:
    """Print a table, and write the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="base")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--one", nargs=3, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(load(*given.one)))
        return
    medians = measure(given.model, ("float32", "int8"), given.rounds)
    print(f"{'':<20}{'found':>9}{'loaded':>9}{'processor':>11}{'peak MB':>9}")
    for compute_type, forms in medians.items():
        for form, row in forms.items():
            print(
                f"{compute_type + ' ' + form:<20}{row['found_seconds']:>9}{row['seconds']:>9}"
                f"{row['processor_seconds']:>11}{row['peak_mb']:>9}"
            )
    if given.json is not None:
        report = {"machine": describe_machine(), "model": given.model, "medians": medians}
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
