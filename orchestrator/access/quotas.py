"""The limits of one tenant, by default the cluster's own, and its weight beside the others."""

from __future__ import annotations

from dataclasses import dataclass

from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits on a tenant's submissions."""

    jobs_in_flight: int
    audio_seconds: float  # of one file
    source_bytes: int  # of one file
    open_jobs: int  # of all tenants together
    pending_uploads: int  # announced, and not submitted
    pending_upload_bytes: int  # of these together
    units_in_flight: float | None = None  # of all its open jobs, as are the next two; None: any
    audio_seconds_in_flight: float | None = None
    bytes_in_flight: float | None = None  # of their files and their decoded audio in the store


def quota_of(settings: Settings, tenant: str) -> Quota:
    """Return the tenant's quota from the settings, with the cluster's limits as default.

    The limits on one file never exceed the cluster's.
    """
    own = _own(settings, tenant)
    return Quota(
        jobs_in_flight=int(own.get("jobs_in_flight", settings.jobs_in_flight)),
        audio_seconds=min(
            float(own.get("audio_seconds", settings.max_audio_seconds)), settings.max_audio_seconds
        ),
        source_bytes=min(
            int(own.get("source_bytes", settings.max_source_bytes)), settings.max_source_bytes
        ),
        open_jobs=settings.max_open_jobs,
        pending_uploads=int(own.get("pending_uploads", settings.pending_uploads)),
        pending_upload_bytes=int(own.get("pending_upload_bytes", settings.pending_upload_bytes)),
        units_in_flight=own.get("units_in_flight"),
        audio_seconds_in_flight=own.get("audio_seconds_in_flight"),
        bytes_in_flight=own.get("bytes_in_flight"),
    )


def weight_of(settings: Settings, tenant: str) -> float | None:
    """Return the tenant's weight in the turns of the queues; None without one, which is 1."""
    weight = _own(settings, tenant).get("weight")
    return None if weight is None else min(max(weight, 0.01), 100.0)


def _own(settings: Settings, tenant: str) -> dict[str, float]:
    """Return the tenant's entry of the settings, or that of all others."""
    return settings.quotas.get(tenant, settings.quotas.get("*", {}))
