"""The shapes of replies, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.access import Scope
from orchestrator.cluster.job import Status
from tasks.runs.stages import Lane, Stage


class ErrorBody(BaseModel):
    """What went wrong and what to do."""

    model_config = ConfigDict(title="Error")

    message: str = Field(description="What happened, then what to do.")
    type: str = Field(description="The kind of error, by its status.")
    param: str | None = Field(description="The wrong field, if one is.")
    code: str = Field(description="For programs; it does not change.")


class ErrorReply(BaseModel):
    """The body of every reply that is not a success."""

    error: ErrorBody


def error_replies(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these statuses."""
    return {status: {"model": ErrorReply} for status in statuses}


class ChunkCounts(BaseModel):
    """The counts of a job's chunks."""

    total: int
    done: int
    failed: int


class Warned(BaseModel):
    """A warning of a transcript: what is missing or was done otherwise."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    start: float | None = None
    end: float | None = None


class Failure(BaseModel):
    """Why a job failed, and what to do."""

    model_config = ConfigDict(extra="allow")

    type: str
    code: str
    message: str
    hint: str


class JobReply(BaseModel):
    """A job and its status now."""

    model_config = ConfigDict(title="Job")

    object: Literal["transcription.job"]
    id: str
    tenant: str
    run: int = Field(description="1, and one more for each retry.")
    name: str = Field(description="The file's name, for people.")
    model: str
    status: Status
    stage: Stage | None = Field(description="The stage it is in; null once it has ended.")
    progress: float = Field(ge=0, le=1, description="Share of the audio's seconds that is done.")
    chunks: ChunkCounts
    created_at: float = Field(description="Seconds since 1970.")
    ready_by: float | None
    audio_seconds: float | None
    eta_seconds: float | None
    language: str | None = Field(description="What is spoken.")
    task: Literal["transcribe", "translate"] = Field(description="translate: the text is English.")
    warnings: list[Warned]
    error: Failure | None
    metadata: dict[str, str]
    labels: dict[str, str]


class JobList(BaseModel):
    """Jobs, newest first."""

    object: Literal["list"]
    data: list[JobReply]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class UploadReply(BaseModel):
    """Where to put a file, and how."""

    id: str = Field(description="For `upload_id` of POST /v1/jobs.")
    url: str
    method: Literal["PUT"]
    headers: dict[str, str] = Field(description="Send them with the PUT, unchanged.")
    expires_at: float = Field(description="Seconds since 1970.")


class SessionReply(BaseModel):
    """The tenant and scopes of a browser's session."""

    tenant: str | None
    scopes: list[Scope]
    anonymous: bool = Field(description="No key is needed here and none was sent.")
    needs_key: bool


class KeyReply(BaseModel):
    """The record of an API key, without the key itself."""

    id: str
    name: str
    tenant: str
    scopes: list[Scope]
    created_at: float = Field(description="Seconds since 1970.")


class NewKeyReply(KeyReply):
    """A new API key."""

    key: str = Field(description="Shown only in this reply.")


class KeyList(BaseModel):
    """The tenant's API keys."""

    object: Literal["list"]
    data: list[KeyReply]


class DeadLetter(BaseModel):
    """A unit that was given up."""

    model_config = ConfigDict(extra="allow")

    job: str
    run: int
    stage: Stage
    chunk: int


class DeadLetterList(BaseModel):
    """The tenant's dead letters."""

    object: Literal["list"]
    data: list[DeadLetter]
    next_after: str | None = None


class HealthReply(BaseModel):
    """The service is healthy."""

    status: Literal["ok"]


# The shape of each event in a stream, as an object: OpenAPI has no better way before 3.2.
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}


class QueueReply(BaseModel):
    """One queue."""

    stage: Stage
    lane: Lane
    depth: int = Field(description="Messages waiting.")
    oldest_seconds: float | None = Field(description="Age of the oldest message in seconds.")


class StageLoadReply(BaseModel):
    """One stage's part of a pool's backlog."""

    stage: Stage
    backlog_seconds: float = Field(description="Of audio, waiting or in flight.")
    units: int = Field(
        description="Chunks or shards, waiting or in flight; 1 for a stage of the whole job."
    )
    in_flight: int = Field(description="Units that workers hold a lease on.")
    speed: float = Field(description="Seconds of audio that a worker does a second.")


class PoolReply(BaseModel):
    """One pool of workers."""

    object: Literal["pool"]
    pool: str
    desired: int = Field(description="Workers that it should have.")
    minimum: int
    maximum: int
    due_workers: float = Field(description="Workers that the work with a ready_by needs.")
    is_crowded: bool = Field(description="More is due than `maximum` workers can do in time.")
    backlog_seconds: float = Field(description="Of audio, waiting or in flight.")
    in_flight: int = Field(description="Units that workers hold a lease on, of all stages.")
    stages: list[StageLoadReply]
    measured_at: float = Field(description="Seconds since 1970.")


class LoadReply(BaseModel):
    """The cluster's load."""

    object: Literal["load"]
    measured_at: float = Field(description="Seconds since 1970.")
    open_jobs: int
    queues: list[QueueReply]
    pools: list[PoolReply]
