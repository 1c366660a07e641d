"""Stage `prepare`: decode the submitted file to PCM and cut it into chunks.

A child process with limits decodes (`gpu_worker/audio/decoder/program.py`). Each step has an
artifact of its own, so a file that is submitted again is neither fetched nor decoded again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.audio.chunking import ChunkingOptions, plan_chunks
from gpu_worker.audio.decoded import AudioLimits, DecodedAudio
from gpu_worker.audio.decoding import decode, decode_channels
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.errors import AudioOutOfBounds, SourceMissing
from gpu_worker.pcm import Span
from tasks.app import app
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.artifacts.submitted import fetch_object, fetch_within
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.pieces import check_pieces
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit
from tasks.state.claims import claim
from tasks.web.addresses import AddressNotAllowed, AddressPolicy
from tasks.web.downloads import download

# An hour to fetch gigabytes from a slow store, and the decoder's own limit.
PREPARE_DEADLINE_SECONDS = AudioLimits().wall_seconds + 3600.0


@app.task(name=Stage.PREPARE.task_name, bind=True)
def prepare(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Decode, hash and cut one job's audio."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.PREPARE), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    manifest = place.records.manifest(unit.run.tenant, unit.run.job)

    stored: list[int] = []  # bytes of each PCM that is new in the store

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        with place.scratch() as scratch:
            return _plan(place, manifest, scratch, stored).model_dump(mode="json")

    return Work(
        keys.plan(unit.run.tenant, unit.run.job),
        compute,
        deadline_seconds=PREPARE_DEADLINE_SECONDS,
        stored_beside=lambda: sum(stored),
    )


def _plan(place: Workplace, manifest: Manifest, scratch: Path, stored: list[int]) -> Plan:
    decoded = _decoded(place, manifest, scratch, stored)
    audios, most = len(_audios(decoded)), place.settings.max_chunks
    check_pieces(manifest.options, decoded.seconds, audios, most)
    # Equal channels are transcribed once, as the first one: mono is often stored as stereo.
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
    """Return the sha256 of the PCM, or of each different PCM of split channels."""
    return tuple(dict.fromkeys(decoded.split or (decoded.sha256,)))


def _decoded(
    place: Workplace, manifest: Manifest, scratch: Path, stored: list[int]
) -> DecodedAudio:
    """Return the facts of the decoded audio; fetch and decode the file if they are not stored.

    If it decodes now, it leaves the PCM in `scratch`, named by its sha256, and adds to `stored`.
    """
    tenant, options, source = manifest.tenant, manifest.options, scratch / "source"
    checksum = _checksum(place, manifest, source)
    _claim(place, manifest, (checksum,))
    key = keys.prepared(tenant, checksum, options)
    try:
        known = DecodedAudio.from_json(json.loads(place.store.get(key)))
        _claim(place, manifest, _audios(known))
        if all(exists(place.store, keys.pcm(tenant, audio)) for audio in _audios(known)):
            _check_length(known, manifest)
            return known
    except ArtifactMissing:
        pass
    if not source.exists():
        _fetch(place, manifest, source)
    limits = _limits(place, manifest)
    if options.channels == "split":
        decoded = decode_channels(source, scratch, track=options.audio_track, limits=limits)
    else:
        decoded = decode(
            source,
            scratch / "pcm",
            channel=options.channel,
            track=options.audio_track,
            limits=limits,
        )
        (scratch / "pcm").rename(scratch / decoded.sha256)
    _claim(place, manifest, _audios(decoded))
    for audio in _audios(decoded):
        if place.store.put_file(keys.pcm(tenant, audio), scratch / audio):
            stored.append((scratch / audio).stat().st_size)
    place.store.put(key, encode(decoded.to_json()))
    return decoded


def _claim(place: Workplace, manifest: Manifest, contents: tuple[str, ...]) -> None:
    """Claim the contents, so that deleting other jobs keeps them; list them in the job's `uses/`.

    The deletion of this job reads that list to release its claims.
    """
    for content in contents:
        place.store.put(keys.job(manifest.tenant, manifest.job, "uses/") + content, b"")
    claim(place.store, place.leases, manifest.tenant, manifest.job, contents)


def _limits(place: Workplace, manifest: Manifest) -> AudioLimits:
    """Return the cluster's limits, or the tenant's where they are lower."""
    seconds, size = place.settings.max_audio_seconds, place.settings.max_source_bytes
    return AudioLimits(
        max_seconds=min(seconds, manifest.max_audio_seconds or seconds),
        max_bytes=min(size, manifest.max_source_bytes or size),
        max_output_bytes=place.settings.max_decoded_bytes,
    )


def _check_length(known: DecodedAudio, manifest: Manifest) -> None:
    """Raise AudioOutOfBounds if stored audio is longer than this job's quota allows.

    Channels that are kept apart count one by one, as in the decoder.
    """
    seconds = known.seconds_of_channels
    if manifest.max_audio_seconds is not None and seconds > manifest.max_audio_seconds:
        of_channels = f" in {len(known.split)} channels" if len(known.split) > 1 else ""
        raise AudioOutOfBounds(
            f"The audio has {seconds:.0f} s{of_channels}, more than the "
            f"{manifest.max_audio_seconds:.0f} s that are accepted."
        )


def _checksum(place: Workplace, manifest: Manifest, path: Path) -> str:
    """Return the sha256 of the submitted bytes; fetch them unless the source's key has it."""
    named = manifest.source.artifact
    if named is not None and "/sources/" in named:
        return named.rpartition("/")[2]
    _fetch(place, manifest, path)
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _fetch(place: Workplace, manifest: Manifest, path: Path) -> None:
    """Write the submitted file to `path`: from the cluster's own store, a bucket or an address."""
    source, max_bytes = manifest.source, _limits(place, manifest).max_bytes
    if source.artifact is not None:
        try:
            fetch_within(place.store, source.artifact, path, max_bytes)
        except ArtifactMissing as error:
            raise SourceMissing(f"{source.name!r} is not where it was submitted from.") from error
    elif source.url is not None and source.url.startswith("s3://"):
        fetch_object(
            source.url,
            path,
            max_bytes=max_bytes,
            endpoint_url=place.settings.s3_endpoint_url,
            check_own=lambda: _read_own_store(place, manifest),
        )
    else:
        _download(place, source.url or "", path, max_bytes)


def _read_own_store(place: Workplace, manifest: Manifest) -> None:
    """Raise StoreRefused or StoreUnavailable if the cluster's own store does not answer."""
    place.store.size(keys.manifest(manifest.tenant, manifest.job))


def _download(place: Workplace, url: str, path: Path, max_bytes: int) -> None:
    values = place.settings
    if not values.allow_urls:
        raise AddressNotAllowed(
            "This cluster fetches nothing from web addresses.",
            hint="Upload the file; the cluster's operator can set SCRIPTORIUM_ALLOW_URLS=true.",
        )
    policy = AddressPolicy.of(values.source_hosts)
    download(url, path, policy, max_bytes=max_bytes)


def _chunks(
    place: Workplace, tenant: str, audio: str, options: JobOptions, pcm: Path
) -> tuple[Span, ...]:
    key = keys.chunks(tenant, audio, options)
    try:
        return tuple(Span(*span) for span in json.loads(place.store.get(key)))
    except ArtifactMissing:
        pass
    if not pcm.exists():
        place.store.fetch(keys.pcm(tenant, audio), pcm)
    samples = np.memmap(pcm, dtype="<i2", mode="r")
    lengths = ChunkingOptions(chunk_seconds=options.chunk_seconds)
    spans = tuple(
        Span(chunk.start, chunk.end) for chunk in plan_chunks(samples, lengths, speech_likelihood)
    )
    place.store.put(key, json.dumps(spans).encode())
    return spans
