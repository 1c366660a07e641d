"""What short batches save a guest, and what they cost the flood, by the fixed part of a batch.

    python -m benchmarks.cluster.short_batches [--seconds 20]

A device that sleeps, without a cluster: a whole batch of 16 windows takes 0.6 s, of which a part is
fixed. Six threads of one owner bring 20 windows again and again; another owner brings one window at
random moments. `apart`: a batch has windows of one owner, as on a CPU; else they share batches.
Whole batches beside short ones.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import print_machine
from gpu_worker.devices import batch_choice
from gpu_worker.devices.batch_seconds import SHARED, Bound
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.requests import Standing

WHOLE, WHOLE_SECONDS = 16, 0.6
FIXED_PARTS = (0.0, 0.3, 0.6)
UNBOUND = Bound(1000.0, 0.5)
THREADS, WINDOWS = 6, 20
PAUSE_SECONDS = 1.0  # at most, between two windows of the guest


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    fixed_part: float
    apart: bool
    short: bool
    guest_median: float  # seconds
    guest_first: float
    flood_windows_a_second: float
    median_batch: float


class Device:
    """Sleeps as long as a batch takes, and notes which owner had how many windows in it."""

    def __init__(self, fixed_part: float) -> None:
        self._fixed = fixed_part * WHOLE_SECONDS
        self._each = (1 - fixed_part) * WHOLE_SECONDS / WHOLE
        self.batches: list[Sequence[str]] = []

    def run(self, batch: Sequence[str], key: str) -> Sequence[str]:
        """Take the time of a batch."""
        time.sleep(self._fixed + self._each * len(batch))
        self.batches.append(batch)
        return batch


def measured(fixed_part: float, seconds: float, *, apart: bool, short: bool) -> Row:
    """Run a flood for so many seconds, with a guest."""
    batch_choice.SHARED = SHARED if short else UNBOUND  # type: ignore[attr-defined]
    device, ends = Device(fixed_part), threading.Event()
    batcher = Batcher[str, str, str](device.run, owners_apart=apart)

    def flood() -> None:
        while not ends.is_set():
            batcher.run(["flood"] * WINDOWS, "k", WHOLE, standing=Standing("flood"))

    threads = [threading.Thread(target=flood) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    dice, waits = random.Random(5), []
    time.sleep(3 * WHOLE_SECONDS)
    first, began = len(device.batches), time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(dice.uniform(0.0, PAUSE_SECONDS))
        came = time.monotonic()
        batcher.run(["guest"], "k", WHOLE, standing=Standing("guest"))
        waits.append(time.monotonic() - came)
    took, batches = time.monotonic() - began, device.batches[first:]
    ends.set()
    for thread in threads:
        thread.join()
    return Row(
        fixed_part,
        apart,
        short,
        round(statistics.median(waits[1:]), 3),
        round(waits[0], 3),
        round(sum(batch.count("flood") for batch in map(list, batches)) / took, 1),
        statistics.median(map(len, batches)),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    print_machine()
    rows = []
    for apart in (True, False):
        for fixed_part in FIXED_PARTS:
            for short in (False, True):
                row = measured(fixed_part, given.seconds, apart=apart, short=short)
                rows.append(row)
                print(row, flush=True)
    if given.output is not None:
        given.output.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
