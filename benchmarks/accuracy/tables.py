"""A report as people read it: tables in Markdown, on stdout and in the docs.

Pure: the JSON report in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def report_tables(report: dict[str, Any]) -> str:
    """All parts that were measured."""
    parts = [
        make(name, found[part])
        for part, make in (
            ("words", words_table),
            ("text", text_table),
            ("times", times_table),
            ("speakers", speakers_table),
        )
        for name, found in report["models"].items()
        if part in found
    ]
    return "\n\n".join(parts)


def words_table(model: str, found: dict[str, Any]) -> str:
    """Word error rates in per cent, a row a recording."""
    sides = list(found["rows"][0]["wer_percent"])
    rows = [
        [
            row["recording"],
            row["words"],
            *(f"{row['wer_percent'][side]:.1f}" for side in sides),
            f"{row['points_above_best_peer']:+.1f}",
        ]
        for row in found["rows"]
    ]
    title = f"Word error rate, {model}, per cent ({_verdict(found)})"
    return _table(title, ["recording", "words", *sides, "ours − best peer"], rows)


def text_table(model: str, found: dict[str, Any]) -> str:
    """Characters that differ from faster-whisper's on the same windows."""
    windows = sum(row["windows"] for row in found["rows"])
    characters = sum(row["characters"] for row in found["rows"])
    differing = [row["recording"] for row in found["rows"] if row["different"]]
    row = [windows, characters, found["different"], ", ".join(differing) or "none"]
    title = f"Text against faster-whisper's, same windows, {model} ({_verdict(found)})"
    return _table(title, ["windows", "characters", "different", "in"], [row])


def times_table(model: str, found: dict[str, Any]) -> str:
    """Absolute errors of word times against the HMM."""
    rows = [
        [
            row["edge"],
            f"{row['compared']} of {found['words']}",
            f"{row['signed_median_ms']:+d}",
            row["median_ms"],
            row["p95_ms"],
        ]
        for row in found["rows"]
    ]
    title = f"Word times by cross-attention against the HMM's, {model}, ms ({_verdict(found)})"
    return _table(title, ["edge", "words", "signed median", "median", "95 % within"], rows)


def speakers_table(model: str, found: dict[str, Any]) -> str:
    """Diarization error rates and cpWER in per cent."""
    rows = [
        [
            row["recording"],
            f"{row['speakers_found']} of {row['speakers']}",
            row["der_percent"],
            row["missed_percent"],
            row["false_alarm_percent"],
            row["confusion_percent"],
            "–" if row["cpwer_percent"] is None else row["cpwer_percent"],
        ]
        for row in found["rows"]
    ]
    rows.append(["all", "", found["der_percent"], "", "", "", ""])
    title = (
        f"Speakers by {found['model']}, words by {model}, per cent, "
        f"collar {found['collar_seconds']} s"
    )
    head = ["recording", "speakers", "DER", "missed", "false alarm", "confusion", "cpWER"]
    return _table(title, head, rows)


def _verdict(found: dict[str, Any]) -> str:
    return "as wanted" if found["met"] else "NOT as wanted"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"**{title}**", "", _row(head), _row(["---"] * len(head))]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
