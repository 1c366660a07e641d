"""What the bodies of requests may hold; and a job's id, and an idempotency key."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from fastapi import Depends, Header
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from orchestrator.access import Scope
from orchestrator.cluster.connection import UnknownJob
from tasks.runs.options import JobOptions

METADATA_ENTRIES = 16
LONGEST_IDEMPOTENCY_KEY = 255  # characters
_IDEMPOTENCY_KEY = rf"[\x21-\x7e]{{1,{LONGEST_IDEMPOTENCY_KEY}}}"
_JOB = re.compile(r"[a-z0-9-]{1,64}")
# JSON can hold what no store, log line or header can: NUL and other control characters.
_PLAIN = r"^[^\x00-\x1f\x7f]*$"

Text = Annotated[str, StringConstraints(max_length=255, min_length=1, pattern=_PLAIN)]
Address = Annotated[str, StringConstraints(max_length=2048, min_length=1, pattern=_PLAIN)]
MetadataKey = Annotated[str, StringConstraints(max_length=64, min_length=1, pattern=_PLAIN)]
MetadataValue = Annotated[str, StringConstraints(max_length=512, pattern=_PLAIN)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=METADATA_ENTRIES)]
UploadId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{23}$")]


class Body(BaseModel):
    """Strict about what it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class JobRequest(Body):
    """A submission: `source` or `upload_id`, and what is to be done with it."""

    source: Address | None = Field(None, description="s3://bucket/key or https://host/path.")
    upload_id: UploadId | None = Field(None, description="Of POST /v1/uploads, once it is there.")
    name: Text | None = Field(None, description="Of the file, for people.")
    options: JobOptions = Field(default_factory=JobOptions)
    metadata: Metadata = Field(default_factory=dict, description="Yours; given back as it is.")
    webhook_url: Address | None = Field(None, description="Told when the job has ended.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.upload_id is None):
            raise ValueError("exactly one of source and upload_id must be given")
        return self


class FormRequest(Body):
    """The fields of a form besides its file."""

    name: Text | None = None
    options: JobOptions = Field(default_factory=JobOptions)
    metadata: Metadata = Field(default_factory=dict)
    webhook_url: Address | None = None


class RerunRequest(Body):
    """The options that are to be others."""

    options: dict[str, Any] = Field(
        default_factory=dict,
        max_length=len(JobOptions.model_fields),
        description="Those of a job that are to be others.",
    )


class UploadRequest(Body):
    """A file that is about to be uploaded."""

    name: Text = Field(description="Of the file, for people.")
    size: int = Field(ge=1, le=1 << 50, description="In bytes, exactly.")


class SessionRequest(Body):
    """Signing in."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_PLAIN)]


class KeyRequest(Body):
    """A key to be made."""

    name: Text = Field(description="For people.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=8)] = Field(
        default=[Scope.READ, Scope.WRITE]
    )


async def _job_id(job: str) -> str:
    if not _JOB.fullmatch(job):  # it becomes a part of keys in Redis and in the store
        raise UnknownJob()  # without the text: some send their key by mistake
    return job


JobId = Annotated[str, Depends(_job_id)]


def _usable(key: str | None) -> str | None:
    if key is not None and not re.fullmatch(_IDEMPOTENCY_KEY, key):
        raise ValueError(
            f"a key has 1 to {LONGEST_IDEMPOTENCY_KEY} visible ASCII characters and no space; "
            "leave the header out to send none"
        )
    return key


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same key submits the same job once, however often it is sent.",
        json_schema_extra={"pattern": f"^{_IDEMPOTENCY_KEY}$"},
    ),
    AfterValidator(_usable),
]
