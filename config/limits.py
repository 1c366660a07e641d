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
        description="Limits by tenant, as JSON: jobs_in_flight, audio_seconds, source_bytes.",
    )
    max_audio_seconds: float = Field(default=24 * 3600.0, gt=0)
    max_source_bytes: int = Field(default=8 * 1024**3, gt=0)

    # Of tenants
    message_tenants: str = Field(
        default="",
        description="Tenants that Celery messages may name besides the cluster's own, by comma. "
        "*: every one.",
    )
    interactive_tenants: str = Field(
        default="",
        description="Tenants besides the cluster's own whose long files may ask for the "
        "interactive lane, by comma. *: every one.",
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

    @property
    def allowed(self) -> frozenset[str]:
        """The models that jobs may name besides those that are known."""
        return _names(self.allowed_models)

    @property
    def trusted(self) -> frozenset[str]:
        """The diarization models that jobs may use besides pyannote's own."""
        return _names(self.trusted_diarize_models)


def lists(listed: str, name: str) -> bool:
    """Tell whether a setting's names by comma hold this one; `*` holds every one."""
    return bool({name, "*"} & _names(listed))


def _names(listed: str) -> frozenset[str]:
    return frozenset(name.strip() for name in listed.split(",")) - {""}
