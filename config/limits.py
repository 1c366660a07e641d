"""The settings that bound what submitters may ask of a cluster, a part of `Settings`.

Files, options and addresses come from strangers. Each default here is safe for a cluster that
many tenants share; an operator who knows them can allow more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, StringConstraints
from pydantic_settings import BaseSettings

Kind = Literal["source", "audio", "checkpoints", "transcripts"]  # of what retention deletes
# The patterns of names are in the chart's values.schema.json too.
TENANT_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
# A tenant, all others, or the tenant of shadows. A mistyped name would limit nothing: refuse it.
Owner = Annotated[str, StringConstraints(pattern=rf"^(\*|_shadow|{TENANT_NAME})$")]
QuotaName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(jobs_in_flight|audio_seconds|source_bytes|pending_uploads|pending_upload_bytes"
        r"|units_in_flight|audio_seconds_in_flight|bytes_in_flight|weight)$"
    ),
]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Limits(BaseSettings):
    """Bounds on jobs and on what tenants use, and the addresses and models that jobs may name."""

    # Of jobs
    max_open_jobs: int = Field(
        default=100_000, ge=1, description="Open jobs of all tenants. Above: 503 and Retry-After."
    )
    jobs_in_flight: int = Field(
        default=20_000, ge=1, description="Open jobs of one tenant. Above: 429."
    )
    quotas: dict[Owner, dict[QuotaName, Amount]] = Field(
        default={},
        description="Limits by tenant (*: all others), as JSON: jobs_in_flight, audio_seconds, "
        "source_bytes, pending_uploads, pending_upload_bytes; of its open jobs units_in_flight, "
        "audio_seconds_in_flight, bytes_in_flight; and weight, its share of the workers beside "
        "others that wait: 0.01 to 100, by default 1.",
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
        default=20_000,
        ge=1,
        description="Chunks of a job, of all its split channels together; shards likewise.",
    )
    pending_uploads: int = Field(
        default=1_000, ge=1, description="Uploads of one tenant that wait for their job."
    )
    pending_upload_bytes: int = Field(
        default=256 * 1024**3, ge=1, description="Announced bytes of these uploads together."
    )

    collection_lines: int = Field(
        default=50_000, ge=1, description="Lines of a collection, each of which becomes a job."
    )
    collection_bytes: int = Field(
        default=32 * 1024**2, ge=1, description="Bytes of a collection's list."
    )

    # Of connections to one process of the API
    max_connections: int = Field(
        default=2500,
        ge=10,
        description="Open connections of one API process. Above: the oldest without a key close.",
    )
    peer_connections: int = Field(
        default=256,
        ge=0,
        description="Of these, without a key from one address. 0: no bound, as behind a proxy.",
    )
    wrong_keys_per_minute: int = Field(
        default=60,
        ge=0,
        description="Wrong keys from one address. Above: 429. 0: no bound, as behind a proxy.",
    )
    tenant_streams: int = Field(
        default=1000, ge=1, description="Event streams of one tenant in one process. Above: 429."
    )
    tenant_keys: int = Field(
        default=1000, ge=1, description="API keys that a tenant's administrators may make."
    )

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

    retention: dict[Owner, dict[Kind, PositiveFloat]] = Field(
        default={},
        description="Days by tenant (*: all others) and kind, as JSON: source, audio, checkpoints, "
        "transcripts. After them it is deleted.",
    )
    audit_reads: Literal["none", "contents", "all"] = Field(
        default="contents",
        description="Reads in the audit trail: none, of text, audio and secrets, or lists too.",
    )
    # Of what tenants use
    budgets: dict[Owner, dict[str, float]] = Field(
        default={},
        description="What a tenant may use, as JSON by tenant, * for all others: "
        "audio_seconds_a_day, audio_seconds_a_month, device_seconds_a_day, device_seconds_a_month.",
    )
    prices: dict[str, Any] = Field(
        default={},
        description="As JSON: currency, audio_hour, and device_hour by the card's name.",
    )

    # Of addresses
    allow_urls: bool = Field(default=False, description="Fetch https:// sources and send webhooks.")
    trusted_source_hosts: str = Field(
        default="",
        description="Of sources: host or host:port, by comma, with private addresses and no TLS.",
    )
    trusted_webhook_hosts: str = Field(
        default="",
        description="Of webhooks: host or host:port, by comma, with private addresses and no TLS.",
    )
    trusted_hosts: str = Field(
        default="", description="Of both, sources and webhooks: the older name of the two."
    )
    source_buckets: str = Field(
        default="", description="Buckets that submitters may name as s3:// sources, by comma."
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
    def buckets(self) -> frozenset[str]:
        """The buckets that submitters may name."""
        return names_in(self.source_buckets)

    @property
    def source_hosts(self) -> str:
        """The hosts of sources that may have private addresses and no TLS, by comma."""
        return f"{self.trusted_source_hosts},{self.trusted_hosts}"

    @property
    def webhook_hosts(self) -> str:
        """The hosts of webhooks that may have private addresses and no TLS, by comma."""
        return f"{self.trusted_webhook_hosts},{self.trusted_hosts}"


def lists(listed: str, name: str) -> bool:
    """Tell whether a setting's names by comma hold this one; `*` holds every one."""
    return bool({name, "*"} & names_in(listed))


def names_in(listed: str) -> frozenset[str]:
    """Return the names in a text, where they are separated by commas."""
    return frozenset(names_in_order(listed))


def names_in_order(listed: str) -> tuple[str, ...]:
    """Return the names in a text, where they are separated by commas, in its order."""
    return tuple(name for name in map(str.strip, listed.split(",")) if name)
