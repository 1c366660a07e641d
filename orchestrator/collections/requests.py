"""The bodies of requests about collections."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from orchestrator.collections.records import RetryStatus
from orchestrator.jobs.ready_by import ReadyBy
from orchestrator.jobs.requests import Address, Body, Metadata, Text
from tasks.runs.options import JobOptions


class CollectionRequest(Body):
    """Many files: those below a prefix of a bucket, or those that lines name."""

    prefix: Address | None = Field(None, description="s3://bucket/prefix/: the objects below it.")
    suffix: list[Text] = Field(default=[], max_length=20, description="With which they end.")
    lines: list[Any] | None = Field(
        None,
        description="Each an address, or the fields of a job: source or upload_id, name, options, "
        "metadata. A wrong one is refused by itself.",
    )
    name: Text | None = Field(None, description="Of the collection, for people.")
    options: JobOptions = Field(default_factory=JobOptions, description="Of lines without own.")
    metadata: Metadata = Field(default_factory=dict)
    webhook_url: Address | None = Field(None, description="Called once, when all have ended.")

    ready_by: ReadyBy | None = Field(
        None, description="When it should be ready; of lines without their own."
    )

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.prefix is None) == (self.lines is None):
            raise ValueError("exactly one of prefix and lines must be given")
        return self


class RetryRequest(Body):
    """The lines to do again."""

    statuses: Annotated[list[RetryStatus], Field(min_length=1, max_length=3)] = Field(
        default=["failed"], description="Lines that were refused count as failed."
    )
