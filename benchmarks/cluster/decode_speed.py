"""Decode a short and a long file with two checkouts in turns, and compare the seconds.

    python -m benchmarks.cluster.decode_speed --other CHECKOUT [--rounds 15] [--json FILE]

`CHECKOUT` is a directory with another version of the product, such as one made by `git worktree
add`. Each decoding is one call of `decode` in a process that has loaded it, so it includes the
child's start. The order alternates; the medians and the quartiles of each pair's ratio are printed.
Processor time, of both processes, is what a machine with other users can tell.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cluster.decode_memory import write_file
from benchmarks.machine import describe_machine

ROOT = Path(__file__).resolve().parents[2]
SHORT_SECONDS = 60.0
PROGRAM = """
import json, os, sys, time
from pathlib import Path
from gpu_worker.audio.decoding import decode
source, pcm = map(Path, sys.argv[1:])
def used():
    return time.perf_counter(), sum(os.times()[:4])
began = used()
audio = decode(source, pcm)
ended = used()
print(json.dumps([*(end - begin for begin, end in zip(began, ended)), audio.sha256]))
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One file, decoded by both checkouts: medians, and quartiles of the pairs' ratios."""

    codec: str
    audio_seconds: float
    other_wall_seconds: float
    own_wall_seconds: float
    other_processor_seconds: float
    own_processor_seconds: float
    wall_ratios: tuple[float, ...]  # own to other
    processor_ratios: tuple[float, ...]


def decode_once(checkout: Path, source: Path, pcm: Path) -> tuple[float, float, str]:
    """Wall and processor seconds of one decoding by a checkout, and the sha256 of the PCM."""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(source), str(pcm)],
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        check=True,
    )
    wall, processor, checksum = json.loads(ended.stdout)
    return wall, processor, checksum


def compare(other: Path, codec: str, hours: float, rounds: int, scratch: Path) -> Compared:
    """Decode a new file in turns; both must write the same."""
    source, pcm = scratch / "source", scratch / "pcm"
    made = source.with_suffix({"flac": ".flac", "libopus": ".ogg"}[codec])
    write_file(made, codec, hours, silent=False)
    taken: dict[Path, list[tuple[float, float]]] = {other: [], ROOT: []}
    for checkout in (other, ROOT):  # reads all files once, so that none is slower for it
        decode_once(checkout, made, pcm)
    sums: set[str] = set()
    for number in range(rounds):
        pair = (other, ROOT) if number % 2 else (ROOT, other)
        for checkout in pair:
            wall, processor, checksum = decode_once(checkout, made, pcm)
            taken[checkout].append((wall, processor))
            sums.add(checksum)
    assert len(sums) == 1, "the two wrote different samples"
    before, after = (list(zip(*taken[checkout], strict=True)) for checkout in (other, ROOT))
    return Compared(
        codec,
        hours * 3600,
        round(statistics.median(before[0]), 3),
        round(statistics.median(after[0]), 3),
        round(statistics.median(before[1]), 3),
        round(statistics.median(after[1]), 3),
        ratios(before[0], after[0]),
        ratios(before[1], after[1]),
    )


def ratios(before: Sequence[float], after: Sequence[float]) -> tuple[float, ...]:
    """The quartiles of the pairs' ratios."""
    each = [own / other for other, own in zip(before, after, strict=True)]
    return tuple(round(one, 3) for one in statistics.quantiles(each, n=4))


def main() -> int:
    """Print a line for each file, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--hours", type=float, default=1.0, help="of the long file")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    found = []
    for codec, hours in (
        ("libopus", SHORT_SECONDS / 3600),
        ("flac", given.hours),
        ("libopus", given.hours),
    ):
        with tempfile.TemporaryDirectory() as name:
            found.append(compare(given.other.resolve(), codec, hours, given.rounds, Path(name)))
        print(json.dumps(asdict(found[-1])))
    if given.json:
        report = {
            "machine": describe_machine(),
            "rounds": given.rounds,
            "files": [asdict(one) for one in found],
        }
        given.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
