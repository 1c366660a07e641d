"""A report of what was used as JSON, CSV and lines of a table. Pure."""

from __future__ import annotations

import csv
import io
from typing import Any

from orchestrator.usage.report import Report, Row, row_json

DEVICE_COLUMN = "device_seconds "  # and the card's name


def report_json(report: Report) -> dict[str, Any]:
    """Return the report as the API gives it."""
    return {
        "object": "usage",
        "from": report.first,
        "to": report.last,
        "by": list(report.by),
        "currency": report.currency or None,
        "data": [row_json(row) for row in report.rows],
        "total": row_json(report.total),
    }


def report_csv(report: Report) -> str:
    """Return the report's rows as CSV, with a column for each card that any row has."""
    names = columns(report)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in report.rows:
        cells = cells_of(report, row)
        writer.writerow(_plain(cells[name]) for name in names)
    return text.getvalue()


def columns(report: Report) -> tuple[str, ...]:
    """Return the names of the report's columns."""
    return tuple(cells_of(report, report.rows[0] if report.rows else report.total))


def cells_of(report: Report, row: Row) -> dict[str, Any]:
    """Return a row's values by column."""
    data = row_json(row)
    seconds = data.pop("device_seconds")
    joules, cost = data.pop("joules"), data.pop("cost", None)
    devices = {f"{DEVICE_COLUMN}{name}": seconds.get(name, 0.0) for name in _devices(report)}
    priced = {} if cost is None else {"cost": cost}
    return {**data, **devices, "joules": joules, **priced}


def _devices(report: Report) -> tuple[str, ...]:
    return tuple(report.total.device_seconds)


def _plain(value: Any) -> Any:
    """Return a cell for CSV: empty for None, and no text that a spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return f"'{value}"
    return "" if value is None else value
