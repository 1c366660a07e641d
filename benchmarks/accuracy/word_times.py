"""Part `times`: where words start and end against a reference, and how far off that is.

Pure: words in, errors in seconds out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.accuracy.recordings import Recording
from gpu_worker.accuracy.word_times import NO_ERRORS, spread, time_errors
from gpu_worker.transcript import Word

MEDIAN_BOUND, P95_BOUND = 0.040, 0.180  # seconds, of the absolute errors, at most


def times_report(
    chosen: Sequence[Recording], heard: Mapping[str, Sequence[Word]]
) -> dict[str, Any]:
    """Errors of starts and of ends over all recordings, in milliseconds."""
    total = NO_ERRORS
    for recording in chosen:
        total += time_errors(recording.words, heard[recording.name], recording.language)
    edges = {"starts": spread(total.starts), "ends": spread(total.ends)}
    met = all(found.median <= MEDIAN_BOUND and found.p95 <= P95_BOUND for found in edges.values())
    return {
        "recordings": [recording.name for recording in chosen],
        "words": total.words,
        "rows": [
            {
                "edge": edge,
                "compared": found.count,
                "signed_median_ms": round(1000 * found.signed_median),
                "median_ms": round(1000 * found.median),
                "p95_ms": round(1000 * found.p95),
            }
            for edge, found in edges.items()
        ],
        "bound_ms": {"median": 1000 * MEDIAN_BOUND, "p95": 1000 * P95_BOUND},
        "met": met,
    }
