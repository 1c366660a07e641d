"""What a job is: its source and options as submitted, and what workers have found out of it.

All of it is artifacts, written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from gpu_worker.diarization.grid import shard_count
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import TranscriptWarning
from tasks.runs.options import JobOptions, Record
from tasks.runs.stages import Lane, Scope
from tasks.runs.units import Unit

MANIFEST_VERSION = 1
INTERACTIVE_SECONDS = 600.0  # up to two default chunks: done before anybody is held up


class Source(Record):
    """Where the audio is: an artifact of our store, or an object of somebody's bucket."""

    name: str  # for people; never used as a path
    artifact: str | None = None
    url: str | None = None  # s3://bucket/key, or https://host/path if the settings allow URLs

    @field_validator("name", mode="before")
    @classmethod
    def _printable(cls, name: str) -> str:
        """File names are bytes; those that are no UTF-8 could not be written into a manifest."""
        return name.encode("utf-8", "replace").decode()


class Output(Record):
    """Where the transcript is written besides our store."""

    url: str  # s3://bucket/key without an extension
    formats: tuple[str, ...] = ("json",)


class Manifest(Record):
    """A job as it was accepted."""

    version: int = MANIFEST_VERSION
    tenant: str
    job: str
    created_at: float  # seconds since 1970
    source: Source
    options: JobOptions
    idempotency_key: str | None = None
    rerun_of: str | None = None  # the job whose source and plan this one has
    metadata: dict[str, str] = Field(default_factory=dict)  # of the submitter, for itself
    webhook_url: str | None = None  # told when the job has ended
    output: Output | None = None
    max_audio_seconds: float | None = None  # the tenant's quota
    max_source_bytes: int | None = None  # likewise
    traceparent: str | None = None  # W3C's, of the span in which it was submitted

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the trace and every option that is None by default and is not set.

        Older workers refuse a field that they do not know. So a new option hinders no upgrade
        until a submitter sets it: let it be None by default.
        """
        data: dict[str, Any] = write(self)
        if self.traceparent is None:
            data.pop("traceparent", None)
        for name, field in JobOptions.model_fields.items():
            if field.default is None and getattr(self.options, name) is None:
                data.get("options", {}).pop(name, None)
        return data


class Choice(Record):
    """What a worker chose for a run where the job's options left models open."""

    model: str | None = None
    diarize_model: str | None = None
    aligner: Literal["cross_attention"] | None = None  # the aligner's model cannot be had
    warnings: tuple[TranscriptWarning, ...] = ()

    @classmethod
    def of_artifact(cls, data: Mapping[str, Any]) -> Choice:
        """From JSON; fields of a later release are ignored."""
        return cls.model_validate({name: data[name] for name in cls.model_fields if name in data})

    def applied(self, manifest: Manifest) -> Manifest:
        """The manifest with the chosen models in its options."""
        chosen = self.model_dump(exclude={"warnings"}, exclude_none=True)
        if not chosen:
            return manifest
        options = JobOptions.model_validate(manifest.options.model_dump() | chosen)
        return manifest.model_copy(update={"options": options})


class Plan(Record):
    """What `prepare` found out: the audio and its chunks."""

    audio: str  # sha256 of the PCM; of the first channel's if they are split
    seconds: float
    chunks: tuple[Span, ...]
    warnings: tuple[TranscriptWarning, ...] = ()
    channels: tuple[str, ...] = ()  # sha256 of each split channel's PCM
    chunk_channels: tuple[int, ...] = ()  # of each chunk, if channels are split

    def chunk_seconds(self, index: int) -> float:
        """How much audio one chunk holds."""
        return self.chunks[index].seconds

    def chunk_audio(self, index: int) -> str:
        """sha256 of the PCM that one chunk is a span of."""
        return self.channels[self.chunk_channels[index]] if self.channels else self.audio

    @property
    def heard(self) -> str:
        """What the language is detected from: the audio, or all channels if they are split."""
        if len(set(self.channels)) < 2:
            return self.audio
        return sha256("".join(self.channels).encode()).hexdigest()

    @property
    def samples(self) -> int:
        """Length of the file."""
        return round(self.seconds * SAMPLE_RATE)

    def shards(self, options: JobOptions) -> int:
        """How many shards diarization is spread over; none if it was not asked for."""
        return shard_count(self.samples, options.shard_seconds) if options.diarizes else 0

    def shard_seconds(self, index: int, options: JobOptions) -> float:
        """How much audio one shard stands for."""
        return min(options.shard_seconds, self.seconds - index * options.shard_seconds)

    def seconds_of(self, unit: Unit, options: JobOptions) -> float:
        """How much audio one unit is about; the whole file for a stage of the job."""
        scope = unit.stage.definition.scope
        if scope is Scope.CHUNK:
            return self.chunk_seconds(unit.index)
        return self.shard_seconds(unit.index, options) if scope is Scope.SHARD else self.seconds

    def lane(self, options: JobOptions) -> Lane:
        """The lane asked for, else bulk for files that would keep others waiting."""
        if options.lane is not None:
            return options.lane
        work = sum(self.chunk_seconds(index) for index in range(len(self.chunks)))  # all channels
        return Lane.INTERACTIVE if work <= INTERACTIVE_SECONDS else Lane.BULK
