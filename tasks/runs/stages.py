"""The table of stages: what the cluster must know of each, but for how it is done.

A new stage is a row of `STAGES` and a module of `tasks/stages` with the same name; where it comes
in a run is written in `dependencies.py`. Pure names: importing this loads no task, so a process
that only sends messages needs none of the code that does the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Pool(StrEnum):
    """The kind of worker a stage needs."""

    CPU = "cpu"  # prefork processes
    GPU = "gpu"  # one process a GPU, threads inside


class Lane(StrEnum):
    """Which of a stage's two queues a job uses."""

    INTERACTIVE = "interactive"  # a user waits for it
    BULK = "bulk"


class Scope(StrEnum):
    """What one unit of a stage is about."""

    JOB = "job"
    CHUNK = "chunk"
    SHARD = "shard"


class Stage(StrEnum):
    """One step of a job."""

    PREPARE = "prepare"  # decode, hash, cut
    DETECT_LANGUAGE = "detect_language"  # and choose models; only if the job leaves them open
    FAN_OUT = "fan_out"  # one message a chunk and one a shard
    TRANSCRIBE = "transcribe"  # a chunk to segments
    ALIGN = "align"  # a chunk's words to exact times
    EMBED_SPEAKERS = "embed_speakers"  # a shard to segmentations and embeddings
    DIARIZE = "diarize"  # all shards to turns
    ASSEMBLE = "assemble"  # everything to the published result

    @property
    def definition(self) -> StageDefinition:
        """Its row of the table."""
        return STAGES[self]

    @property
    def pool(self) -> Pool:
        """The workers that do it."""
        return STAGES[self].pool

    @property
    def task_name(self) -> str:
        """The Celery task's name; explicit, so that moving a file orphans no message."""
        return f"scriptorium.{self.value}"

    def queue(self, lane: Lane) -> str:
        """The queue of this stage in one lane."""
        return f"{self.value}.{lane.value}"


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """One row of the table."""

    pool: Pool
    scope: Scope
    version: int
    """Part of its artifacts' keys: raise it when the code makes something else of one input."""
    first_speed: float
    """Seconds of audio that a unit gets done in a second, on a small GPU or one core, until the
    cluster has measured itself. Wrong by some factor on any hardware; the first units correct it.
    """
    options: frozenset[str] = frozenset()
    """Names of the job options that change what it makes of its input, so part of the keys."""
    model: Literal["transcription", "speakers"] | None = None
    """The model that its time depends on: a label of the metrics."""
    is_early: bool = False
    """Whether the rest of the run depends on it: if it fails, the run does."""


STAGES: Mapping[Stage, StageDefinition] = {
    Stage.PREPARE: StageDefinition(
        Pool.CPU, Scope.JOB, version=2, first_speed=300.0, is_early=True,
        options=frozenset({"channel", "channels", "audio_track"}),
    ),
    Stage.DETECT_LANGUAGE: StageDefinition(
        Pool.GPU, Scope.JOB, version=1, first_speed=300.0, is_early=True, model="transcription",
        options=frozenset({"model", "revision", "compute_type", "vad_threshold"}),
    ),
    Stage.FAN_OUT: StageDefinition(
        Pool.CPU, Scope.JOB, version=2, first_speed=10_000.0, is_early=True,
        options=frozenset({"chunk_seconds"}),
    ),
    Stage.TRANSCRIBE: StageDefinition(
        Pool.GPU, Scope.CHUNK, version=3, first_speed=40.0, model="transcription",
        options=frozenset({  # the batch size does not change what a model writes
            "model", "revision", "compute_type", "task", "beam_size", "best_of", "patience",
            "length_penalty", "repetition_penalty", "no_repeat_ngram_size", "temperature",
            "temperature_increment_on_fallback", "compression_ratio_threshold",
            "logprob_threshold", "no_speech_threshold", "initial_prompt", "hotwords",
            "suppress_tokens", "max_new_tokens", "word_timestamps", "vad_threshold",
        }),
    ),
    Stage.ALIGN: StageDefinition(
        Pool.GPU, Scope.CHUNK, version=2, first_speed=100.0, model="transcription",
        options=frozenset({"aligner", "align_model"}),
    ),
    Stage.EMBED_SPEAKERS: StageDefinition(
        Pool.GPU, Scope.SHARD, version=1, first_speed=50.0, model="speakers",
        options=frozenset({"diarize_model", "shard_seconds"}),
    ),
    Stage.DIARIZE: StageDefinition(
        Pool.CPU, Scope.JOB, version=1, first_speed=500.0,
        options=frozenset({"num_speakers", "min_speakers", "max_speakers", "known_speakers"}),
    ),
    Stage.ASSEMBLE: StageDefinition(Pool.CPU, Scope.JOB, version=1, first_speed=2_000.0),
}  # fmt: skip

EARLY_STAGES = frozenset(stage for stage in Stage if STAGES[stage].is_early)
HEADER_STAGES = frozenset(stage for stage in Stage if STAGES[stage].scope is not Scope.JOB)


def queues(pool: Pool | None = None) -> tuple[str, ...]:
    """Every queue, or those that one pool of workers reads; interactive lanes first."""
    return queues_of(stage for stage in Stage if pool is None or stage.pool is pool)


def queues_of(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The queues of some stages; interactive lanes first."""
    chosen = frozenset(stages)
    return tuple(stage.queue(lane) for lane in Lane for stage in Stage if stage in chosen)
