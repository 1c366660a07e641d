"""Submit jobs for one tenant, by address or with a file, under the tenant's quota."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from gpu_worker.errors import SourceMissing
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.options import with_allowed_lane
from orchestrator.jobs.requests import FormRequest, JobRequest
from orchestrator.jobs.sources import display_name, named_source, take_file
from orchestrator.jobs.submission import submit
from orchestrator.jobs.uploads import drop_unused, submitted, uploaded
from orchestrator.outbox.webhooks import check_webhook_url
from tasks.runs.manifest import Source

TRIES = 5  # of a submission whose file goes with another job each time


@dataclass(frozen=True, slots=True)
class Submitter:
    """A tenant who submits, with the idempotency key of the request."""

    cluster: Cluster
    tenant: str
    idempotency_key: str | None
    way: str  # label of the metrics: how the submission came in

    def submit(self, source: Source, asked: JobRequest | FormRequest) -> Job:
        """Accept a job under the tenant's quota. Raises what `submit` raises."""
        settings = self.cluster.settings
        if asked.webhook_url is not None:
            check_webhook_url(settings, asked.webhook_url)
        return submit(
            self.cluster,
            source,
            with_allowed_lane(asked.options, self.tenant, settings),
            tenant=self.tenant,
            idempotency_key=self.idempotency_key,
            metadata=asked.metadata,
            labels=asked.labels,
            webhook_url=asked.webhook_url,
            ready_by=asked.ready_by,
            quota=quota_of(settings, self.tenant),
            way=self.way,
        )

    def submit_named(self, asked: JobRequest) -> Job:
        """Accept a job whose source is an address or an upload.

        Raises as `submit`, `uploaded` and `named_source` do.
        """
        if asked.upload_id is None:
            source = named_source(self.cluster.settings, asked.source or "", asked.name)
            return self.submit(source, asked)
        source = uploaded(self.cluster, self.tenant, asked.upload_id)
        if asked.name is not None:
            source = source.model_copy(update={"name": display_name(asked.name)})
        job = self.submit(source, asked)
        submitted(self.cluster, self.tenant, asked.upload_id)
        return job

    def submit_file(self, file: BinaryIO, name: str, asked: FormRequest) -> Job:
        """Accept a job with a file; delete the file again if the job is refused."""
        shown = display_name(asked.name or name)
        return submit_files(
            self.cluster,
            self.tenant,
            [(file, shown)],
            lambda sources: self.submit(sources[0], asked),
        )


def submit_files(
    cluster: Cluster,
    tenant: str,
    files: Sequence[tuple[BinaryIO, str]],
    send: Callable[[Sequence[Source]], Job],
) -> Job:
    """Store named files and submit a job of them; delete them again if the job is refused."""
    taken: list[Source] = []

    def once() -> Job:
        sources = []
        for file, name in files:
            sources.append(take_file(cluster, file, name, tenant))
            taken.append(sources[-1])
        return send(sources)

    try:
        for _ in range(TRIES - 1):
            # One may be there, and go with another job before it is claimed: it is stored again.
            with suppress(SourceMissing):
                return once()
        return once()
    except BaseException:
        for source in taken:
            drop_unused(cluster, tenant, source)
        raise
