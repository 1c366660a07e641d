"""Commands about one job: submit, rerun, status, cancel, retry, delete."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gpu_worker.errors import InvalidOption
from orchestrator.cli.audit import enter
from orchestrator.cli.bars import describe, watch_jobs
from orchestrator.cli.context import AsJson, exit_status, opened_cluster, print_json, tenant
from orchestrator.cli.labels import Labels
from orchestrator.cli.options import with_job_options
from orchestrator.cli.ready_by import ReadyBy, due
from orchestrator.cli.speakers import (
    KnownSpeakers,
    upload_known_speakers,
    with_known_speakers,
)
from orchestrator.cli.spellings import spellings
from orchestrator.cluster.job import Job
from orchestrator.jobs import runs, submission
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.labels import parse_labels
from orchestrator.jobs.local_files import local_path
from orchestrator.jobs.sources import upload
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions

JobId = Annotated[str, typer.Argument(metavar="JOB", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the job ends.")]


@with_job_options
def submit(
    source: Annotated[str, typer.Argument(metavar="FILE|s3://BUCKET/KEY", show_default=False)],
    options: JobOptions,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            *spellings("idempotency_key"), help="A text of yours: the same text gives the same job."
        ),
    ] = None,
    ready_by: ReadyBy = None,
    label: Labels = None,
    known_speaker: KnownSpeakers = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Submit one file to the cluster and print the job's id; `-` is standard input."""
    due_at, labels = due(ready_by), parse_labels(label or ())
    to = opened_cluster()
    job = submission.submit(
        to,
        _source(source) or upload(to, local_path(source), tenant()),
        with_known_speakers(to, tenant(), options, known_speaker),
        tenant=tenant(),
        idempotency_key=idempotency_key,
        labels=labels,
        ready_by=due_at,
    )
    enter(to, "job.submit", tenant(), job.id)
    _accepted(job, wait, as_json)


@with_job_options
def rerun(
    job: JobId,
    changes: dict[str, Any],
    ready_by: ReadyBy = None,
    known_speaker: KnownSpeakers = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Run a finished job's audio again with other options, as a new job; print its id.

    Computes only what the changed options affect.
    """
    due_at = due(ready_by)
    to = opened_cluster()
    if known_speaker:
        changes["known_speakers"] = upload_known_speakers(to, tenant(), known_speaker)
    made = submission.rerun(to, tenant(), job, changes, ready_by=due_at)
    enter(to, "job.rerun", tenant(), made.id, of=job)
    _accepted(made, wait, as_json)


def status(job: JobId, as_json: AsJson = False) -> None:
    """Show a job's status, progress, warnings and error."""
    found = opened_cluster().job(tenant(), job)
    print_json(found.to_json()) if as_json else show_job(found)


def cancel(job: JobId, as_json: AsJson = False) -> None:
    """Cancel a job; it ends without a transcript."""
    to = opened_cluster()
    ended = runs.cancel(to, tenant(), job)
    enter(to, "job.cancel", tenant(), job)
    print_json(ended.to_json()) if as_json else show_job(ended)


def retry(job: JobId, as_json: AsJson = False) -> None:
    """Run a failed, partial or canceled job again; finished chunks are kept."""
    to = opened_cluster()
    again = runs.retry(to, tenant(), job)
    enter(to, "job.retry", tenant(), job)
    print_json(again.to_json()) if as_json else show_job(again)


def delete(job: JobId) -> None:
    """Delete a job with its audio and transcript, even while it runs."""
    to = opened_cluster()
    delete_job(to, tenant(), job)
    enter(to, "job.delete", tenant(), job)
    typer.echo(f"Job {job} is deleted.")


def _accepted(job: Job, wait: bool, as_json: bool) -> None:
    if wait:
        job = watch_jobs(opened_cluster(), tenant(), [job], quiet=as_json)[0]
    print_json(job.to_json()) if as_json else typer.echo(job.id)
    raise typer.Exit(exit_status([job]))


def _source(text: str) -> Source | None:
    """Return the object that an s3:// address names, or None for a local file.

    Raises InvalidOption for any other address.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return None
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise InvalidOption(f"{text!r} is neither a file nor s3://bucket/key.")
    return Source(name=key.rpartition("/")[2], url=text)


def show_job(job: Job) -> None:
    """Print where a job stands, its warnings and its error."""
    lines = [f"{job.id}  {describe(job)}  {job.progress:.0%}"]
    if job.chunks.total:
        lines.append(
            f"chunks: {job.chunks.done} of {job.chunks.total} done, {job.chunks.failed} failed"
        )
    lines += [f"warning: {warning['message']}" for warning in job.warnings]
    if job.error is not None:
        lines += [f"{job.error['code']}: {job.error['message']}", job.error["hint"]]
    typer.echo("\n".join(lines))
