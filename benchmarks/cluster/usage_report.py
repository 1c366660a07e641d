"""What a report of a month costs, and what it costs to put a day's records into packs.

    python -m benchmarks.cluster.usage_report [--runs 1000000] [--milliseconds 15]

A store on the disk that takes that many milliseconds longer for each request. The month has that
many runs, of a hundred tenants, in packs; those of the last hour, and 999 more, are records by
themselves, as they are at most while a reconciler packs. At the end of the day they are packed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.fleet.slow_store import SlowStore, write
from benchmarks.machine import describe_machine, print_machine, resident_mb
from orchestrator.usage.accounts import Pack
from orchestrator.usage.packing import PACK_RUNS, REST_SECONDS, Packing
from orchestrator.usage.reading import UsageReader
from tasks.runs import usage_keys
from tasks.runs.units import Run
from tasks.usage.figures import Figures
from tasks.usage.record import Place, RunUsage

RESULTS = Path(__file__).parents[1] / "results" / "usage_report.json"
DAYS, TENANTS = 30, 100
DAY = 24 * 3600.0
FIRST = 20_575 * DAY  # 2026-05-02
FIGURES: dict[Place, Figures] = {
    ("prepare", "cpu"): Figures(1, 0, 600.0, 0.0, 2.1234, None, 0, 19_200_321),
    ("transcribe", "NVIDIA H200"): Figures(2, 0, 600.0, 0.0, 1.2345, 712.345, 0, 123_456),
    ("align", "NVIDIA H200"): Figures(2, 0, 600.0, 0.0, 0.3456, 198.123, 0, 223_456),
    ("transcribe", ""): Figures(cached=1, cached_audio_seconds=300.0),
}


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--milliseconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        fill(root, given.runs)
        figures = measured(SlowStore(root, given.milliseconds / 1000), given.runs)
    written = {"machine": describe_machine(), "runs": given.runs} | figures
    written["milliseconds"] = given.milliseconds
    given.json.write_text(json.dumps(written, indent=2) + "\n")


def fill(root: Path, runs: int) -> None:
    """Write the month."""
    for day in range(DAYS):
        of_day = runs // DAYS
        own = records(day, of_day)
        alone = of_day // 24 + PACK_RUNS - 1 if day == DAYS - 1 else 0
        for record in islice(own, alone):
            write(root, usage_keys.used(record.run), record.to_bytes())
        number = 0
        while some := list(islice(own, PACK_RUNS)):
            write(root, usage_keys.pack(some[0].day, number), Pack.of(some).to_bytes())
            number += 1


def records(day: int, runs: int) -> Iterator[RunUsage]:
    """Yield the records of one day."""
    for index in range(runs):
        number = day * runs + index
        run = Run(f"tenant-{number % TENANTS:03}", f"{number * 7919:023x}", 1)
        yield RunUsage(run, FIRST + day * DAY + index, FIGURES)


def measured(store: SlowStore, runs: int) -> dict[str, Any]:
    """Time reports and the packing of the last day."""
    first = next(records(0, 1)).day
    last = next(records(DAYS - 1, 1)).day
    reader = UsageReader(store)
    found: dict[str, Any] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        store.requests.clear()
        began = time.monotonic()
        work()
        seconds = round(time.monotonic() - began, 2)
        found[name] = {"seconds": seconds, "requests": dict(store.requests)}
        print(name, found[name], f"{resident_mb(os.getpid()):.0f} MB", flush=True)

    def pack() -> None:
        now = FIRST + DAYS * DAY + REST_SECONDS
        for _ in Packing(store, UsageReader(store), clock=lambda: now).pack():
            pass

    timed("one tenant, first time", lambda: reader.accounts(first, last, "tenant-007"))
    timed("all tenants, first time", lambda: reader.accounts(first, last))
    timed("all tenants, again", lambda: reader.accounts(first, last))
    before = reader.accounts(first, last)
    timed("packing of the last day", pack)
    timed("all tenants, packed, another process", lambda: UsageReader(store).accounts(first, last))
    assert UsageReader(store).accounts(first, last) == before
    assert sum(account.runs for account in before.values()) == runs // DAYS * DAYS
    found["resident_mb"] = round(resident_mb(os.getpid()))
    return found


if __name__ == "__main__":
    main()
