"""A job whose records this release cannot read: what is known of it all the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.cluster.job import Chunks, Job, Status, Summary
from tasks.runs.units import Run, created_at


def unreadable_job(
    run: Run, has_begun: bool, summary: Summary | None, error: Mapping[str, Any]
) -> Job:
    """Return what is known of a job whose manifest or plan cannot be read, with that error."""
    status = Status.PROCESSING if has_begun else Status.QUEUED
    return Job(
        id=run.job,
        tenant=run.tenant,
        run=run.number,
        name="",
        model="",
        status=summary.status if summary else status,
        stage=None,
        progress=1.0 if summary else 0.0,
        chunks=Chunks(),
        created_at=created_at(run.job) or 0.0,
        warnings=summary.warnings if summary else (),
        error=dict(error),
    )
