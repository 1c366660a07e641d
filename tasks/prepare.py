"""Stage `prepare`: the submitted file to PCM and chunks.

Decoding happens in a child with limits (`gpu_worker/decoder.py`); each step has an
artifact of its own, so the same file submitted again is neither fetched nor decoded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.audio import AudioLimits, DecodedAudio, decode
from gpu_worker.chunking import ChunkingOptions, plan_chunks
from gpu_worker.errors import AudioOutOfBounds, SourceMissing
from tasks.app import app
from tasks.artifacts import ArtifactMissing, keys
from tasks.artifacts.opening import open_store
from tasks.execution import Work, run_unit
from tasks.lifecycle import Workplace
from tasks.manifest import JobOptions, Manifest, Plan, Source
from tasks.pipeline import end_early
from tasks.records import encode, exists
from tasks.stages import Stage, Unit

# A slow store may take its time over gigabytes; the decoder has a bound of its own.
PREPARE_DEADLINE_SECONDS = AudioLimits().wall_seconds + 3600.0


@app.task(name=Stage.PREPARE.task_name, bind=True)
def prepare(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Decode, hash and cut one job's audio."""
    unit = Unit(tenant, job, run, Stage.PREPARE)
    receipt = run_unit(self, unit, _describe)
    end_early(self, unit, receipt)
    return receipt.to_json()


def _describe(place: Workplace, unit: Unit) -> Work:
    manifest = place.records.manifest(unit.tenant, unit.job)

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        with place.scratch() as scratch:
            return _plan(place, manifest, scratch).model_dump(mode="json")

    return Work(
        keys.plan(unit.tenant, unit.job), compute, deadline_seconds=PREPARE_DEADLINE_SECONDS
    )


def _plan(place: Workplace, manifest: Manifest, scratch: Path) -> Plan:
    pcm = scratch / "pcm"
    decoded = _decoded(place, manifest, scratch / "source", pcm)
    spans = _chunks(place, manifest.tenant, decoded, manifest.options, pcm)
    return Plan(
        audio=decoded.sha256, seconds=decoded.seconds, chunks=spans, warnings=decoded.warnings
    )


def _decoded(place: Workplace, manifest: Manifest, source: Path, pcm: Path) -> DecodedAudio:
    tenant, options = manifest.tenant, manifest.options
    checksum = _checksum(place, manifest.source, source)
    key = keys.prepared(tenant, checksum, options)
    try:
        known = DecodedAudio.from_json(json.loads(place.store.get(key)))
        if exists(place.store, keys.pcm(tenant, known.sha256)):
            return known
    except ArtifactMissing:
        pass
    if not source.exists():
        _fetch(place, manifest.source, source)
    limits = AudioLimits(
        max_seconds=place.settings.max_audio_seconds, max_bytes=place.settings.max_source_bytes
    )
    decoded = decode(source, pcm, channel=options.channel, limits=limits)
    place.store.put_file(keys.pcm(tenant, decoded.sha256), pcm)
    place.store.put(key, encode(decoded.to_json()))
    return decoded


def _checksum(place: Workplace, source: Source, path: Path) -> str:
    """Of the bytes as submitted; our own artifacts are named by it."""
    if source.artifact is not None:
        return source.artifact.rpartition("/")[2]
    _fetch(place, source, path)
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _fetch(place: Workplace, source: Source, path: Path) -> None:
    store, key = place.store, source.artifact or ""
    if source.artifact is None:
        bucket, _, key = (source.url or "").removeprefix("s3://").partition("/")
        store = open_store(f"s3://{bucket}", endpoint_url=place.settings.s3_endpoint_url)
    size = store.size(key)
    if size is None:
        raise SourceMissing(f"{source.name!r} is not where it was submitted from.")
    if size > place.settings.max_source_bytes:
        raise AudioOutOfBounds(f"The file has {size} bytes, more than are accepted.")
    store.fetch(key, path)


def _chunks(
    place: Workplace, tenant: str, decoded: DecodedAudio, options: JobOptions, pcm: Path
) -> tuple[tuple[int, int], ...]:
    key = keys.chunks(tenant, decoded.sha256, options)
    try:
        return tuple((start, end) for start, end in json.loads(place.store.get(key)))
    except ArtifactMissing:
        pass
    if not pcm.exists():
        place.store.fetch(keys.pcm(tenant, decoded.sha256), pcm)
    samples = np.memmap(pcm, dtype="<i2", mode="r")
    spans = tuple(
        (chunk.start, chunk.end)
        for chunk in plan_chunks(samples, ChunkingOptions(chunk_seconds=options.chunk_seconds))
    )
    place.store.put(key, json.dumps(spans).encode())
    return spans
