"""The shapes of replies about collections, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.replies import Failure
from orchestrator.cluster.job import Status


class LineCounts(BaseModel):
    """The counts of a collection's lines by their states."""

    total: int
    waiting: int = Field(description="Not jobs yet.")
    queued: int
    processing: int
    completed: int
    partial: int
    failed: int
    canceled: int
    refused: int = Field(description="They cannot become jobs; their errors say why.")
    deleted: int


class CollectionReply(BaseModel):
    """A collection and how far it is."""

    model_config = ConfigDict(title="Collection")

    object: Literal["collection"]
    id: str
    tenant: str
    name: str
    round: int = Field(description="1, and one more for each retry.")
    status: Status
    progress: float = Field(ge=0, le=1, description="Share of the lines that have ended.")
    eta_seconds: float | None
    counts: LineCounts
    created_at: float = Field(description="Seconds since 1970.")
    ready_by: float | None = Field(description="Of lines without their own.")
    ended_at: float | None = Field(description="Of the newest round; null while it goes on.")
    metadata: dict[str, str]


class CollectionList(BaseModel):
    """Collections, newest first."""

    object: Literal["list"]
    data: list[CollectionReply]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class CollectionLine(BaseModel):
    """A line of a collection: its job, or why it is none."""

    line: int
    name: str
    status: str
    job: str | None
    error: Failure | None


class CollectionLines(BaseModel):
    """Lines of a collection, by number."""

    object: Literal["list"]
    data: list[CollectionLine]
    next_cursor: int | None = Field(description="For the next page; null on the last one.")
