"""An evaluation as tables: a row for each recording, and one for each measure over all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Column, Table

from orchestrator.evaluation.report import Evaluation, Figure

# By their names in JSON: the title, the factor, and the digits.
MEASURES: dict[str, tuple[str, float, int]] = {
    "wer": ("WER %", 100.0, 2),
    "cpwer": ("cpWER %", 100.0, 2),
    "der": ("DER %", 100.0, 2),
    "start_median_ms": ("word starts, median, ms", 1.0, 0),
    "start_p95_ms": ("word starts, 95 %, ms", 1.0, 0),
    "speed": ("audio s a device s", 1.0, 2),
    "device_seconds": ("device s", 1.0, 1),
    "cost": ("cost", 1.0, 4),
}
_BY_RECORDING = ("wer", "cpwer", "der", "start_median_ms", "speed")


def recordings_table(found: Evaluation) -> Table:
    """Return a row for each recording: of each measure that is known, the sides in order."""
    shown = [name for name in _BY_RECORDING if _is_known(found.totals, name)]
    names = " / ".join(side.name for side in found.sides)
    columns = [Column(f"{MEASURES[name][0]} {names}", justify="right") for name in shown]
    table = Table(
        "recording", Column("audio s", justify="right"), Column("words", justify="right"),
        *columns, box=None,
    )  # fmt: skip
    for title, row in [*found.rows, ("all", found.totals)]:
        cells = [" / ".join(_cell(one, name) for one in row) for name in shown]
        first = row[0]
        table.add_row(title, f"{first.audio_seconds:.1f}", str(first.words.words), *cells)
    return table


def measures_table(found: Evaluation) -> Table:
    """Return a row for each measure: each side, its difference from the first, and the interval."""
    letters = [side.name for side in found.sides]
    columns = [Column(name, justify="right") for name in letters]
    for name in letters[1:]:
        columns += [
            Column(f"{name} − a", justify="right"),
            Column("95 % interval", justify="right"),
            Column("better"),
        ]
    table = Table(Column("", no_wrap=True), *columns, box=None)
    table.add_row("words", *(str(one.words.words) for one in found.totals))
    table.add_row("errors", *(str(one.words.errors) for one in found.totals))
    for name in (it for it in MEASURES if _is_known(found.totals, it)):
        title = MEASURES[name][0] + (f", {found.currency}" if name == "cost" else "")
        cells = [_cell(one, name) for one in found.totals]
        for side in range(1, len(letters)):
            cells += _difference(found, side, name)
        table.add_row(title, *cells)
    return table


def _difference(found: Evaluation, side: int, name: str) -> list[str]:
    first, other = (found.totals[it].to_json()[name] for it in (0, side))
    if first is None or other is None:
        return ["", "", ""]
    _, factor, digits = MEASURES[name]
    known = found.differences[side - 1].get(name)
    if known is None:
        return [f"{factor * (other - first):+.{digits}f}", "", ""]
    low, high = (f"{factor * known[edge]:+.{digits}f}" for edge in ("low", "high"))
    return [
        f"{factor * known['value']:+.{digits}f}",
        f"{low} … {high}",
        found.better(side, name) or "neither",
    ]


def drawn(found: Evaluation) -> list[str]:
    """Return a sentence for each side and what was drawn for its interval of words."""
    sentences = []
    for side, name in enumerate((it.name for it in found.sides[1:]), 1):
        known = found.differences[side - 1].get("wer")
        sentences.append(
            f"{name}: too little text for an interval."
            if known is None
            else f"{name}: its interval of WER is drawn from {known['units']} {known['of']}."
        )
    return sentences


def _is_known(row: Sequence[Figure], name: str) -> bool:
    return any(one.to_json()[name] is not None for one in row)


def _cell(one: Figure, name: str) -> str:
    value: Any = one.to_json()[name]
    _, factor, digits = MEASURES[name]
    return "–" if value is None else f"{factor * value:.{digits}f}"
