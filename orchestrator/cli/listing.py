"""`list` and `dead-letters`: what there is, of one tenant or of all; a piece at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from orchestrator.access.tenants import known_tenants
from orchestrator.cli.bars import describe
from orchestrator.cli.context import AsJson, opened_cluster, print_json, tenant
from orchestrator.cli.labels import Labels
from orchestrator.cluster.job import Job, Status
from orchestrator.jobs import dead_letters as letters
from orchestrator.jobs.labels import has_labels, parse_labels
from orchestrator.jobs.newest import newest_jobs

AllTenants = Annotated[
    bool,
    typer.Option("--all-tenants", help="Of every tenant, for operators; by default of one."),
]
_SHOWN = 1000  # dead letters


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of jobs to show.")] = 20,
    before: Annotated[
        str | None, typer.Option(help="Go on behind this job, the last one of a list.")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only jobs with this status.")] = None,
    label: Labels = None,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest jobs; with labels, those of them that have all of these."""
    wanted = parse_labels(label or ())
    to = opened_cluster()
    tenants: Iterable[str] = known_tenants(to.store) if all_tenants else (tenant(),)
    found, behind = newest_jobs(to, tenants, limit, before, status)
    shown = [job for job in found if has_labels(job.labels, wanted)]
    if as_json:
        print_json([job.to_json() for job in shown])
    else:
        _print(shown, all_tenants)
    if behind is not None:
        typer.echo(f"There may be more: --before {behind}", err=True)


def dead_letters(
    limit: Annotated[int, typer.Option(min=1, help="Number to show.")] = _SHOWN,
    after: Annotated[
        str, typer.Option(help="Go on behind this one, as the last line of a piece says.")
    ] = "",
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Show the units that were given up (dead letters)."""
    of = None if all_tenants else tenant()
    read = letters.dead_letters(opened_cluster().store, of, after)
    found = list(islice(read, limit + 1))
    shown = [letter for _, letter in found[:limit]]
    if as_json:
        print_json(shown)
    else:
        typer.echo("\n".join(map(_sentence, shown)), nl=bool(shown))
        if shown:
            of_one = " --tenant TENANT" if all_tenants else ""
            typer.echo(f"`scriptorium{of_one} retry JOB` tries a job's again.", err=True)
    if len(found) > limit:
        typer.echo(f"There are more: --after {found[limit - 1][0]}", err=True)


def _print(jobs: Iterable[Job], with_tenant: bool) -> None:
    identity = Column("job", no_wrap=True)  # an id over two lines cannot be copied
    owner = (Column("tenant", no_wrap=True),) if with_tenant else ()
    table = Table(identity, *owner, "created", "file", "model", "status", "progress", box=None)
    for job in jobs:
        created = datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        of = (job.tenant,) if with_tenant else ()
        progress = f"{job.progress:.0%}"
        table.add_row(
            job.id, *of, created, repr(job.name)[1:-1], job.model, describe(job), progress
        )
    Console(highlight=False, markup=False).print(table)


def _sentence(letter: dict[str, Any]) -> str:
    of = f"{letter['tenant']} " if "tenant" in letter else ""
    return (
        f"{of}{letter['job']} run {letter['run']} {letter['stage']} chunk {letter['chunk']}: "
        f"{letter['code']}: {letter['message']}"
    )
