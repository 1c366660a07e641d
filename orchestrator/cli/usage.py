"""`usage`: show what tenants used, by day, tenant and stage, and what it costs."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import AsJson, checked_owner, opened_cluster, print_json
from orchestrator.usage.prices import prices_of
from orchestrator.usage.report import (
    BY_HELP,
    LABEL,
    Dimension,
    Report,
    dimension,
    make_report,
    period,
)
from orchestrator.usage.table import cells_of, columns, report_csv, report_json

_TEXTS = frozenset(Dimension)
_SHORT = {
    "audio_seconds": "audio s",
    "cached_audio_seconds": "found s",
    "stored_bytes": "stored MB",
    "joules": "kJ",
}
MEGA, KILO = 1e6, 1e3


def usage(
    first: Annotated[
        str | None, typer.Option("--from", help="First day (UTC), by default that of the month.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; by default today.")] = None,
    by: Annotated[list[str] | None, typer.Option(help=BY_HELP)] = None,
    of: Annotated[
        str | None, typer.Option("--tenant", help="Only this tenant; by default all.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was used: audio, device seconds, energy, cache hits, retries, bytes, cost."""
    if as_csv and as_json:
        raise InvalidOption("--csv and --json exclude each other.", hint="Give one of them.")
    days = period(first, last, time.time())
    tenant = checked_owner(of) if of is not None else None
    to = opened_cluster()
    prices = prices_of(to.settings)
    report = make_report(
        to.books.reader.accounts(*days, tenant), days, [dimension(it) for it in by or ()], prices
    )
    if as_json:
        print_json(report_json(report))
    elif as_csv:
        typer.echo(report_csv(report), nl=False)
    else:
        _print(report)


def _print(report: Report) -> None:
    names = columns(report)
    kinds = [
        Column(_title(it, report), justify="left" if _is_text(it) else "right") for it in names
    ]
    table = Table(*kinds, box=None)
    for row in (*report.rows, report.total):
        cells = cells_of(report, row)
        table.add_row(*(_text(name, cells.get(name, "")) for name in names))
    Console(highlight=False, markup=False).print(table)


def _is_text(column: str) -> bool:
    return column in _TEXTS or column.startswith(LABEL)


def _title(name: str, report: Report) -> str:
    if name == "cost":
        return f"cost {report.currency}".strip()
    return _SHORT.get(name, name.replace("device_seconds ", "") + " s" if " " in name else name)


def _text(name: str, value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    assert isinstance(value, int | float)
    if name == "stored_bytes":
        return f"{value / MEGA:.1f}"
    if name == "joules":
        return f"{value / KILO:.1f}"
    if name == "cost":
        return f"{value:.2f}"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
