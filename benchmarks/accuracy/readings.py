"""The segments of every side, one side below the other, as Markdown.

    python -m benchmarks.accuracy.readings LINES [--model base] [--recordings sonnet1 german]

LINES is the file that `python -m benchmarks.accuracy --lines LINES` has written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy.lines import LineFile
from benchmarks.accuracy.ours import NAME
from benchmarks.accuracy.peers import SETTINGS, Line


def reading(title: str, lines: list[Line]) -> str:
    """One side's segments with their times in seconds."""
    rows = [f"{line.start:6.2f}–{line.end:6.2f}  {line.text.strip()}" for line in lines]
    longest = max((line.end - line.start for line in lines), default=0.0)
    return "\n".join(
        [f"{title}: {len(lines)} segments, the longest {longest:.1f} s", "```text", *rows, "```"]
    )


def main() -> None:
    """Print the segments of each recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--model", default="base")
    parser.add_argument("--recordings", nargs="+", default=["austen-0870", "sonnet1", "german"])
    given = parser.parse_args()
    known = LineFile(given.lines)
    for recording in given.recordings:
        print(f"### {recording}\n")
        for side in (NAME, *SETTINGS):
            lines = known.get(given.model, side, recording)
            if lines is not None:
                print(reading(side, lines) + "\n")


if __name__ == "__main__":
    main()
