"""The settings that bound what submitters may ask of a cluster, a part of `Settings`.

Files, options and addresses come from strangers. Each default here is safe for a cluster that
many tenants share; an operator who knows them can allow more.
"""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class Limits(BaseSettings):
    """Bounds on the jobs of tenants, and the models that jobs may name."""

    # Of jobs
    max_open_jobs: int = Field(
        default=100_000, ge=1, description="Open jobs of all tenants. Above: 503 and Retry-After."
    )
    jobs_in_flight: int = Field(
        default=20_000, ge=1, description="Open jobs of one tenant. Above: 429."
    )
    quotas: dict[str, dict[str, float]] = Field(
        default={},
        description="Limits by tenant, as JSON: jobs_in_flight, audio_seconds, source_bytes, "
        "pending_uploads, pending_upload_bytes.",
    )
    max_audio_seconds: float = Field(
        default=24 * 3600.0,
        gt=0,
        description="Longer audio is refused; channels that are kept apart count one by one.",
    )
    max_source_bytes: int = Field(default=8 * 1024**3, gt=0)
    max_decoded_bytes: int = Field(
        default=4 * 1024**3, gt=0, description="Bytes that one file may be decoded to, in all."
    )

    max_chunks: int = Field(
        default=20_000, ge=1, description="Chunks of a job, of all its split channels together."
    )
    pending_uploads: int = Field(
        default=1_000, ge=1, description="Uploads of one tenant that wait for their job."
    )
    pending_upload_bytes: int = Field(
        default=256 * 1024**3, ge=1, description="Announced bytes of these uploads together."
    )

    # Of models
    allowed_models: str = Field(
        default="",
        description="Models that jobs may name besides the known ones, by comma: fake, "
        "directories, owner/name of the hub, or name@revision.",
    )
    trusted_diarize_models: str = Field(
        default="",
        description="Models that jobs may use besides pyannote's, by comma: they may hold code.",
    )


def names_in(listed: str) -> frozenset[str]:
    """Return the names in a text, where they are separated by commas."""
    return frozenset(name.strip() for name in listed.split(",")) - {""}
