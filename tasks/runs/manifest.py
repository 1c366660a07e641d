"""The records of a job: its manifest as submitted, and the choice and plan that workers write.

Each is an artifact, written once.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from gpu_worker.diarization.grid import shard_count
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import TranscriptWarning
from tasks.runs.option_values import Record
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane, Scope
from tasks.runs.units import Unit

MANIFEST_VERSION = 1
TrialSide = Literal["control", "variant"]
INTERACTIVE_SECONDS = 600.0  # up to two default chunks, which delay other jobs little


class Source(Record):
    """Where the audio is: an artifact of the store, an object in another bucket, or a URL."""

    name: str  # for people; never used as a path
    artifact: str | None = None
    url: str | None = None  # s3://bucket/key, or https://host/path if the settings allow URLs

    @field_validator("name", mode="before")
    @classmethod
    def _printable(cls, name: str) -> str:
        """Replace what UTF-8 cannot encode: file names are bytes, and a manifest is UTF-8."""
        return name.encode("utf-8", "replace").decode()


class Output(Record):
    """Where the transcript is written besides the store."""

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
    metadata: dict[str, str] = Field(default_factory=dict)  # the submitter's; returned as given
    labels: dict[str, str] = Field(default_factory=dict)  # likewise; they are in usage records too
    webhook_url: str | None = None  # called when the job has ended
    output: Output | None = None
    max_audio_seconds: float | None = None  # the tenant's quota
    max_source_bytes: int | None = None  # likewise
    weight: float | None = None  # the tenant's, in the turns of the queues; None: 1
    traceparent: str | None = None  # W3C's, of the span in which it was submitted
    ready_by: float | None = None  # seconds since 1970; None: as soon as its lane allows
    trial: TrialSide | None = None  # None: it takes no part in a trial
    own_hotwords: str | None = None  # of a job with a vocabulary: its option without those of it

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not set of the newer fields and of the options with the default None.

        Workers of the first releases refuse a field that they do not know. So give a new option
        the default None: during an upgrade they then do all jobs that do not set it.
        """
        data: dict[str, Any] = write(self)
        for name in ("traceparent", "trial", "weight", "ready_by", "labels", "own_hotwords"):
            if getattr(self, name) in (None, {}):
                data.pop(name, None)
        for name, field in JobOptions.model_fields.items():
            if field.default is None and getattr(self.options, name) is None:
                data.get("options", {}).pop(name, None)
        return data


class Choice(Record):
    """The models that a worker chose for a run whose job does not name them."""

    model: str | None = None
    diarize_model: str | None = None
    aligner: Literal["cross_attention"] | None = None  # set if the aligner's model is unavailable
    warnings: tuple[TranscriptWarning, ...] = ()

    def applied(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the chosen models in its options."""
        chosen = self.model_dump(exclude={"warnings"}, exclude_none=True)
        if not chosen:
            return manifest
        options = JobOptions.model_validate(manifest.options.model_dump() | chosen)
        return manifest.model_copy(update={"options": options})


class Plan(Record):
    """The output of `prepare`: the audio and its chunks."""

    audio: str  # sha256 of the PCM; of the first channel's if they are split
    seconds: float
    chunks: tuple[Span, ...]
    warnings: tuple[TranscriptWarning, ...] = ()
    channels: tuple[str, ...] = ()  # sha256 of each split channel's PCM
    chunk_channels: tuple[int, ...] = ()  # of each chunk, if channels are split

    def chunk_seconds(self, index: int) -> float:
        """Return the length of one chunk in seconds."""
        return self.chunks[index].seconds

    def chunk_audio(self, index: int) -> str:
        """Return the sha256 of the PCM that one chunk is a span of."""
        return self.channels[self.chunk_channels[index]] if self.channels else self.audio

    @property
    def heard(self) -> str:
        """The name in the language's key: the audio's sha256, or one of all split channels."""
        if len(set(self.channels)) < 2:
            return self.audio
        return sha256("".join(self.channels).encode()).hexdigest()

    @property
    def samples(self) -> int:
        """The length of the file in samples of 16 kHz."""
        return round(self.seconds * SAMPLE_RATE)

    def shards(self, options: JobOptions) -> int:
        """Return the number of shards of diarization; 0 if the options do not ask for it."""
        return shard_count(self.samples, options.shard_seconds) if options.diarizes else 0

    def shard_seconds(self, index: int, options: JobOptions) -> float:
        """Return the length of one shard in seconds."""
        return min(options.shard_seconds, self.seconds - index * options.shard_seconds)

    def seconds_of(self, unit: Unit, options: JobOptions) -> float:
        """Return the seconds of audio of a unit; the whole file's for a stage of the job."""
        scope = unit.stage.definition.scope
        if scope is Scope.CHUNK:
            return self.chunk_seconds(unit.index)
        return self.shard_seconds(unit.index, options) if scope is Scope.SHARD else self.seconds

    def lane(self, options: JobOptions) -> Lane:
        """Return the lane of the options, else bulk for more than INTERACTIVE_SECONDS of audio."""
        if options.lane is not None:
            return options.lane
        work = sum(self.chunk_seconds(index) for index in range(len(self.chunks)))  # all channels
        return Lane.INTERACTIVE if work <= INTERACTIVE_SECONDS else Lane.BULK
