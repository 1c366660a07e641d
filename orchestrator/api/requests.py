"""The bodies of requests, and the checks of a job's id and an idempotency key."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Header
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
)

from orchestrator.access import Scope
from orchestrator.cluster.connection import UnknownJob
from orchestrator.jobs.ready_by import ReadyBy
from orchestrator.jobs.requests import PLAIN_TEXT, Body, Text
from tasks.runs.options import JobOptions

LONGEST_IDEMPOTENCY_KEY = 255  # characters
_IDEMPOTENCY_KEY = rf"[\x21-\x7e]{{1,{LONGEST_IDEMPOTENCY_KEY}}}"
_JOB = re.compile(r"[a-z0-9-]{1,64}")


class RerunRequest(Body):
    """The options to change when a job is done again."""

    options: dict[str, Any] = Field(
        default_factory=dict,
        max_length=len(JobOptions.model_fields),
        description="A job's options to change; the others stay.",
    )
    ready_by: ReadyBy | None = Field(None, description="When the new job should be ready.")


class UploadRequest(Body):
    """A file that will be uploaded."""

    name: Text = Field(description="The file's name, for people.")
    size: int = Field(ge=1, le=1 << 50, description="The exact size in bytes.")


class SessionRequest(Body):
    """The key to log in with."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=PLAIN_TEXT)]


class KeyRequest(Body):
    """A key to make."""

    name: Text = Field(description="For people.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=8)] = Field(
        default=[Scope.READ, Scope.WRITE]
    )


async def _job_id(job: str) -> str:
    if not _JOB.fullmatch(job):  # the id becomes a part of keys in Redis and in the store
        raise UnknownJob()  # without the text: some users send their key by mistake
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
