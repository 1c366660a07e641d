"""The command `watch`: wait for a job's end, or submit each new file of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from config.logging import configure_logging
from gpu_worker.errors import InvalidOption
from orchestrator.cli.bars import watch_jobs
from orchestrator.cli.context import (
    AsJson,
    current_settings,
    exit_status,
    opened_cluster,
    print_json,
    stop_event,
    tenant,
)
from orchestrator.cli.jobs import show_job
from orchestrator.cli.options import with_job_options
from orchestrator.cli.ready_by import ReadyBy, within
from orchestrator.cluster.job import Job
from tasks.runs.submitted_options import job_options


@with_job_options
def watch(
    target: Annotated[str, typer.Argument(metavar="JOB|FOLDER", show_default=False)],
    changes: dict[str, Any],
    suffix: Annotated[
        list[str] | None, typer.Option(help="Of a folder: only such names; repeatable.")
    ] = None,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds that a file is unchanged before it is taken.")
    ] = 10.0,
    name: Annotated[
        str | None,
        typer.Option(help="Of a folder: what its files are known by; by default its path."),
    ] = None,
    ready_by: ReadyBy = None,
    once: Annotated[
        bool, typer.Option("--once", help="Of a folder: submit what is there, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Wait until a job ends, or submit each new whole file of a folder once, until Ctrl-C."""
    if Path(target).is_dir():
        _watch_folder(
            Path(target), changes, suffix or [], settle, name or "", within(ready_by), once=once
        )
        return
    if os.sep in target:  # no id of a job has one
        raise InvalidOption(f"There is no folder {target!r}.", hint="Name a folder, or a job's id.")
    if changes or suffix or name or ready_by or once:
        raise InvalidOption(
            f"{target!r} is no folder; options are for the jobs of a folder's files.",
            hint="Name a folder, or leave the options out.",
        )
    to = opened_cluster()
    ended = watch_jobs(to, tenant(), [to.job(tenant(), target)], quiet=as_json)[0]
    print_json(ended.to_json()) if as_json else show_job(ended)
    raise typer.Exit(exit_status([ended]))


def _watch_folder(
    folder: Path,
    changes: dict[str, Any],
    suffixes: list[str],
    settle: float,
    name: str,
    ready_within: float | None,
    *,
    once: bool,
) -> None:
    from orchestrator.triggers.folder import WatchedFolder

    options = job_options(changes)
    settings = current_settings()
    configure_logging(settings.log_level, settings.log_format)
    cluster, stop = opened_cluster(), stop_event()
    watched = WatchedFolder(cluster, folder, options, tenant(), settle, suffixes, name)
    watched.ready_within = ready_within
    try:
        if once:
            _tell(watched.look())  # what needs not settle is submitted by this look
            stop.wait(settle)
        while not stop.is_set():
            _tell(watched.look())
            if once:
                return
            stop.wait(max(0.5, settle / 2))
    finally:
        cluster.close()


def _tell(jobs: Iterable[Job]) -> None:
    for job in jobs:
        typer.echo(job.id)
