"""Progress bars: one for each job, measured in audio seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from orchestrator.cli.context import check_interrupted
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow


def watch_jobs(
    cluster: Cluster,
    tenant: str,
    jobs: list[Job],
    *,
    quiet: bool = False,
    check: Callable[[], None] = lambda: None,
) -> list[Job]:
    """Show the jobs' progress until all have ended; return the ended jobs in the same order.

    Calls `check` now and then, which may raise to stop.
    """
    ended = {job.id: job for job in jobs}
    progress = Progress(
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
    )
    with progress:
        rows: dict[str, TaskID] = {
            job.id: progress.add_task("", total=1.0, name=_short(job.name), state="")
            for job in jobs
        }
        for job in follow(cluster, tenant, [job.id for job in jobs], check):
            check_interrupted()
            before, ended[job.id] = ended[job.id], job
            progress.update(rows[job.id], completed=job.progress, state=describe(job))
            moved = (before.stage, before.chunks) != (job.stage, job.chunks)
            if progress.disable and not quiet and moved:
                print(f"{_short(job.name)}: {job.progress:4.0%} {describe(job)}", file=sys.stderr)
    return [ended[job.id] for job in jobs]


def describe(job: Job) -> str:
    """Return a job's status, or its stage with chunk counts and remaining seconds."""
    if job.status.final or job.stage is None:
        return job.status.value
    counted = f" {job.chunks.done}/{job.chunks.total}" if job.chunks.total > 1 else ""
    eta = f", {job.eta_seconds:.0f} s left" if job.eta_seconds and job.eta_seconds >= 1 else ""
    return f"{job.stage.value}{counted}{eta}"


def _short(name: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= 40 else printable[:39] + "…"
