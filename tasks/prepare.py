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

from gpu_worker.audio import AudioLimits, DecodedAudio, decode, decode_channels
from gpu_worker.chunking import ChunkingOptions, plan_chunks
from gpu_worker.errors import AudioOutOfBounds, SourceMissing
from tasks.app import app
from tasks.artifacts import ArtifactMissing, keys
from tasks.artifacts.opening import open_store
from tasks.execution import Work, run_unit
from tasks.lifecycle import Workplace
from tasks.manifest import Manifest, Plan, Source
from tasks.options import JobOptions
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
    decoded = _decoded(place, manifest, scratch)
    # Equal channels are transcribed once, as the first of them: mono is often stored as stereo.
    spans = {
        audio: _chunks(place, manifest.tenant, audio, manifest.options, scratch / audio)
        for audio in _audios(decoded)
    }
    return Plan(
        audio=decoded.sha256,
        seconds=decoded.seconds,
        chunks=tuple(span for own in spans.values() for span in own),
        warnings=decoded.warnings,
        channels=decoded.split,
        chunk_channels=tuple(
            decoded.split.index(audio) for audio, own in spans.items() for _ in own if decoded.split
        ),
    )


def _audios(decoded: DecodedAudio) -> tuple[str, ...]:
    """The sha256 of the one PCM, or of each different channel's."""
    return tuple(dict.fromkeys(decoded.split or (decoded.sha256,)))


def _decoded(place: Workplace, manifest: Manifest, scratch: Path) -> DecodedAudio:
    """What is known of the file; if it was decoded now, its PCM lies in `scratch` by its sha256."""
    tenant, options, source = manifest.tenant, manifest.options, scratch / "source"
    checksum = _checksum(place, manifest.source, source)
    key = keys.prepared(tenant, checksum, options)
    try:
        known = DecodedAudio.from_json(json.loads(place.store.get(key)))
        if all(exists(place.store, keys.pcm(tenant, audio)) for audio in _audios(known)):
            return known
    except ArtifactMissing:
        pass
    if not source.exists():
        _fetch(place, manifest.source, source)
    limits = AudioLimits(
        max_seconds=place.settings.max_audio_seconds, max_bytes=place.settings.max_source_bytes
    )
    if options.channels == "split":
        decoded = decode_channels(source, scratch, limits=limits)
    else:
        decoded = decode(source, scratch / "pcm", channel=options.channel, limits=limits)
        (scratch / "pcm").rename(scratch / decoded.sha256)
    for audio in _audios(decoded):
        place.store.put_file(keys.pcm(tenant, audio), scratch / audio)
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
    place: Workplace, tenant: str, audio: str, options: JobOptions, pcm: Path
) -> tuple[tuple[int, int], ...]:
    key = keys.chunks(tenant, audio, options)
    try:
        return tuple((start, end) for start, end in json.loads(place.store.get(key)))
    except ArtifactMissing:
        pass
    if not pcm.exists():
        place.store.fetch(keys.pcm(tenant, audio), pcm)
    samples = np.memmap(pcm, dtype="<i2", mode="r")
    spans = tuple(
        (chunk.start, chunk.end)
        for chunk in plan_chunks(samples, ChunkingOptions(chunk_seconds=options.chunk_seconds))
    )
    place.store.put(key, json.dumps(spans).encode())
    return spans
