"""What a job costs while it is open: measured once its audio is decoded, estimated before.

The estimate needs requests to the store, so it is made only for tenants whose quota has bounds.
"""

from __future__ import annotations

import math
from struct import error as struct_error
from struct import unpack_from

from orchestrator.access.quotas import Quota, quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import Bounds, Cost
from tasks.artifacts import ArtifactMissing
from tasks.runs.dependencies import chunk_stages, fan_in, header_chains
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.units import Run

PCM_BYTES = 32_000  # of a second of decoded audio
USUAL_SECONDS = 600.0  # of a file of which nothing is known, such as one at an address
COMPRESSED_BYTES = 16_000  # of a second of speech, as MP3 and M4A usually have it
LONGEST_GUESS = 3600.0  # seconds: much of a large file may be pictures
HEADER_BYTES = 64
_SINGLE_UNITS = 4  # prepare, detect_language, fan_out and assemble


def cost_of(cluster: Cluster, manifest: Manifest, plan: Plan | None) -> Cost:
    """Return what a run of the job costs, measured with a plan. Raises what the store raises."""
    bounds = bounds_of(quota_of(cluster.settings, manifest.tenant))
    source = manifest.source.artifact
    size = None
    if source is not None and (bounds.stored_bytes is not None or (bounds.is_set and not plan)):
        size = cluster.store.size(source)
    if plan is not None:
        return measured_cost(manifest, plan, size or 0)
    if not bounds.is_set:
        return Cost()
    head = b""
    if source is not None and size is not None:
        try:
            head = cluster.store.get(source, 0, HEADER_BYTES)
        except ArtifactMissing:  # the submission is about to be refused
            size = None
    seconds = estimated_seconds(head, size)
    if manifest.max_audio_seconds is not None:
        seconds = min(seconds, manifest.max_audio_seconds)
    return Cost(
        units=estimated_units(manifest.options, seconds),
        audio_seconds=seconds,
        stored_bytes=(size or 0) + round(seconds * PCM_BYTES),
    )


def bounds_of(quota: Quota) -> Bounds:
    """Return what a tenant's open jobs may cost together."""
    return Bounds(quota.units_in_flight, quota.audio_seconds_in_flight, quota.bytes_in_flight)


def measured_cost(manifest: Manifest, plan: Plan, source_bytes: int) -> Cost:
    """Return the cost of a job whose audio is decoded. Pure."""
    run = Run(manifest.tenant, manifest.job, 1)
    chains = header_chains(run, manifest.options, plan)
    ends = fan_in(run, manifest.options, plan)
    seconds = plan.seconds * max(1, len(set(plan.channels)))
    return Cost(
        units=sum(map(len, chains)) + len(ends) + _SINGLE_UNITS - 1,
        audio_seconds=round(seconds, 3),
        stored_bytes=source_bytes + round(seconds * PCM_BYTES),
        is_measured=True,
    )


def estimated_units(options: JobOptions, seconds: float) -> int:
    """Return about how many units so much audio makes. Pure."""
    chunks = math.ceil(seconds / options.chunk_seconds) * len(chunk_stages(options))
    shards = math.ceil(seconds / options.shard_seconds) + 1 if options.diarizes else 0
    return chunks + shards + _SINGLE_UNITS


def estimated_seconds(head: bytes, size: int | None) -> float:
    """Return about how long a file is, by its first bytes and its size; None: unknown. Pure.

    The headers of WAV and FLAC say it. They are the submitter's word, which `prepare` checks.
    """
    if size is None:
        return USUAL_SECONDS
    try:
        if head[:4] in (b"RIFF", b"RF64") and head[8:16] == b"WAVEfmt ":
            return float(size / max(1, unpack_from("<I", head, 28)[0]))
        if head[:4] == b"fLaC":
            packed = unpack_from(">Q", head, 18)[0]  # rate, channels, bits, number of samples
            rate, samples = packed >> 44, packed & (1 << 36) - 1
            if rate and samples:
                return float(samples / rate)
    except struct_error:
        pass
    return min(LONGEST_GUESS, size / COMPRESSED_BYTES)
