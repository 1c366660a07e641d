"""The reply of GET /v1/usage, for the documentation of the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class UsageRow(BaseModel):
    """What was used on a day, by a tenant, in a stage, with a label, or all together.

    By a label it has a field `label:KEY`, empty for jobs without that label.
    """

    model_config = ConfigDict(extra="allow")

    day: str | None = None
    tenant: str | None = None
    stage: str | None = None
    runs: int | None = Field(default=None, description="That ended; not by stage.")
    audio_seconds: float = Field(description="That were transcribed; by stage: its own.")
    cached_audio_seconds: float = Field(description="That were found transcribed.")
    units: int = Field(description="Computed.")
    cached: int = Field(description="Units that were found computed.")
    retries: int = Field(description="Tries of computed units before the one that ended well.")
    stored_bytes: int = Field(description="Of what was computed.")
    device_seconds: dict[str, float] = Field(description="By the card's name, or `cpu`.")
    joules: float | None = Field(description="Of the cards that tell it.")
    cost: float | None = Field(default=None, description="Where the operator has set prices.")


class UsageReply(BaseModel):
    """What was used."""

    object: Literal["usage"]
    from_: str = Field(alias="from", description="The first day.")
    to: str = Field(description="The last day.")
    by: list[str]
    currency: str | None
    data: list[UsageRow]
    total: UsageRow
