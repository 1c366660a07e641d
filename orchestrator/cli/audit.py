"""`audit`: read the audit trail; and what the other commands add to it."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import AsJson, checked_owner, opened_cluster
from orchestrator.cluster.connection import Cluster
from orchestrator.trail.entry import Entry
from orchestrator.trail.reading import Wanted, entries

Day = Annotated[str | None, typer.Option(help="A day in UTC, as 2026-11-29; by default today.")]


def enter(
    to: Cluster, action: str, tenant: str | None, job: str | None = None, **details: Any
) -> None:
    """Enter what this command did into the audit trail of its cluster, before it goes on."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without an entry in the password database
        user = str(os.getuid())
    host = socket.gethostname()
    to.trail.note_now(
        Entry(action, tenant, by=f"cli:{user}@{host}", origin=host, job=job, details=details)
    )


def audit(
    day: Day = None,
    until: Annotated[
        str | None, typer.Option(help="The last day; by default the first one.")
    ] = None,
    of: Annotated[
        str | None, typer.Option("--tenant", help="Of this tenant; by default of all.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="About this job.")] = None,
    action: Annotated[
        str | None, typer.Option(help="An action, such as job.delete, or `key` for all of keys.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what, from where: the entries of one day or several, oldest first.

    With --json, a line of JSON for each.
    """
    first = _day(day) if day else datetime.now(UTC).date()
    last = _day(until) if until else first
    if last < first:
        raise InvalidOption(f"{last} is before {first}.", hint="Give the first day as --day.")
    wanted = Wanted(checked_owner(of) if of is not None else None, job, action)
    found = entries(opened_cluster().store, first, last, wanted)
    if as_json:
        for entry in found:
            typer.echo(entry.to_line(), nl=False)
        return
    table = Table(Column("at", no_wrap=True), "tenant", "by", "from", "action", "job", "", box=None)
    for entry in found:
        data = entry.to_json()
        details = " ".join(f"{name}={value}" for name, value in entry.details.items())
        cells = (data.get(name, "") for name in ("at", "tenant", "by", "from", "action", "job"))
        table.add_row(*(repr(cell)[1:-1] for cell in cells), f"{entry.outcome} {details!r}"[:200])
    Console(highlight=False, markup=False).print(table)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidOption(f"{text!r} is not a day.", hint="Write it as 2026-11-29.") from error
