"""How many windows `offline` should embed at once on a CPU: time, and whether turns stay equal.

    python -m benchmarks.speakers.embed_batches [--recording AUDIO RTTM URI]... [--rounds 2]

pyannote's sample, each given recording and all of them joined, on one thread, one, two and eight
windows at once, in turns. Processor seconds a minute of audio, without the clustering, the least of
all rounds. Set the worker's variables of the C library's memory (docs/speed.md) to measure what
workers do. Exit status 1 if turns differ.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.machine import print_machine
from benchmarks.speakers.recordings import Recording, add_recordings, read_given
from gpu_worker.diarization import DiarizerRequest, SpeakerBounds
from gpu_worker.diarization.pretrained import load
from gpu_worker.transcript import Turn

SIZES = (8, 2, 1)


def hear(recordings: list[Recording], rounds: int) -> tuple[dict[int, float], bool]:
    """Return the seconds a minute of each size, and whether all turns are those of the first."""
    diarizer = load(DiarizerRequest("offline", device="cpu", threads=1))
    least = dict.fromkeys(SIZES, float("inf"))
    turns: dict[str, set[tuple[Turn, ...]]] = {recording.name: set() for recording in recordings}
    for _ in range(rounds):
        for size in SIZES:
            diarizer._embedded_at_once = size
            taken = 0.0
            for recording in recordings:
                samples = recording.samples
                began = time.process_time()
                voices = diarizer.embed(samples, range(diarizer.grid.window_count(len(samples))))
                taken += time.process_time() - began
                found = diarizer.cluster([voices], len(samples), SpeakerBounds())
                turns[recording.name].add(found.turns)
            minutes = sum(recording.seconds for recording in recordings) / 60
            least[size] = min(least[size], taken / minutes)
    return least, all(len(kinds) == 1 for kinds in turns.values())


def main() -> int:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_recordings(parser)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    print_machine()
    recordings = read_given(given)
    least, are_equal = hear(recordings, given.rounds)
    for size, seconds in least.items():
        print(f"{size} at once: {seconds:.2f} processor seconds a minute")
    print("all turns are equal" if are_equal else "turns differ")
    return 0 if are_equal else 1


if __name__ == "__main__":
    sys.exit(main())
