"""Part `words`: the word error rate of ours and of the peers, on each recording and in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.accuracy.ours import JOB_OPTIONS, NAME
from benchmarks.accuracy.recordings import Recording
from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.word_error import WordError

WHOLE_BOUND, FILE_BOUND = 0.3, 2.0  # points above the best peer, at most
ALL = "all"


@dataclass(frozen=True, slots=True)
class WordErrors:
    """One recording: each side's errors."""

    recording: str
    sides: Mapping[str, WordError]


def word_errors(
    chosen: Sequence[Recording], texts: Mapping[str, Mapping[str, str]]
) -> list[WordErrors]:
    """A row a recording, and one of all; `texts` are by side and recording."""
    rows = [
        WordErrors(
            recording.name,
            {
                side: word_error(recording.text, heard[recording.name], recording.language)
                for side, heard in texts.items()
            },
        )
        for recording in chosen
    ]
    total = {
        side: WordError(
            sum(row.sides[side].words for row in rows), sum(row.sides[side].errors for row in rows)
        )
        for side in texts
    }
    return [*rows, WordErrors(ALL, total)]


def points_above_best(row: WordErrors) -> float:
    """Points of word error rate of ours above the best peer; negative where ours is best."""
    best = min(error.rate for side, error in row.sides.items() if side not in JOB_OPTIONS)
    return 100 * (row.sides[NAME].rate - best)


def words_report(rows: Sequence[WordErrors]) -> dict[str, Any]:
    """As JSON, with what is asked for."""
    *files, whole = rows
    worst = max(files, key=points_above_best)
    return {
        "rows": [
            {
                "recording": row.recording,
                "words": row.sides[NAME].words,
                "errors": {side: error.errors for side, error in row.sides.items()},
                "wer_percent": {
                    side: round(100 * error.rate, 2) for side, error in row.sides.items()
                },
                "points_above_best_peer": round(points_above_best(row), 2),
            }
            for row in rows
        ],
        "worst_recording": worst.recording,
        "bound_points": {"all": WHOLE_BOUND, "recording": FILE_BOUND},
        "met": points_above_best(whole) <= WHOLE_BOUND and points_above_best(worst) <= FILE_BOUND,
    }
