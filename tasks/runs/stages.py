"""The table of stages: pool, scope, version, options and first speed of each.

A new stage is a row of `STAGES` and a module of `tasks/stages` with the same name;
`dependencies.py` says where it comes in a run. Importing this module loads no task, so a process
that only sends messages loads none of the code that does the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Pool(StrEnum):
    """The kind of worker a stage needs."""

    CPU = "cpu"  # prefork processes
    GPU = "gpu"  # one process for each GPU, with threads


class Lane(StrEnum):
    """Which of a stage's two queues a job uses."""

    INTERACTIVE = "interactive"  # short jobs, whose users wait
    BULK = "bulk"


class Scope(StrEnum):
    """What one unit of a stage covers."""

    JOB = "job"
    CHUNK = "chunk"
    SHARD = "shard"


class Stage(StrEnum):
    """One step of a job."""

    PREPARE = "prepare"  # decode, hash, cut
    DETECT_LANGUAGE = "detect_language"  # and choose models; only if the job leaves them open
    FAN_OUT = "fan_out"  # send one message for each chunk and each shard
    TRANSCRIBE = "transcribe"  # a chunk to segments
    ALIGN = "align"  # a chunk's words to exact times
    EMBED_SPEAKERS = "embed_speakers"  # a shard to segmentations and embeddings
    DIARIZE = "diarize"  # all shards to turns
    ASSEMBLE = "assemble"  # everything to the published result

    @property
    def definition(self) -> StageDefinition:
        """The stage's row of the table."""
        return STAGES[self]

    @property
    def pool(self) -> Pool:
        """The kind of worker that does the stage."""
        return STAGES[self].pool

    @property
    def task_name(self) -> str:
        """The Celery task's name; not the module's, so that messages survive a moved file."""
        return f"scriptorium.{self.value}"

    def queue(self, lane: Lane) -> str:
        """Return the name of the stage's queue in one lane."""
        return f"{self.value}.{lane.value}"


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """One row of the table."""

    pool: Pool
    scope: Scope
    version: int
    """Part of its artifacts' keys: raise it when the code's output for the same input changes."""
    first_speed: float
    """Seconds of audio that a unit computes in a second, on a small GPU or one core. A guess for
    the time until the cluster has measured its own speed; the first units correct it.
    """
    options: frozenset[str] = frozenset()
    """Names of the job options that change its output, and so are part of its artifacts' keys."""
    model: Literal["transcription", "speakers"] | None = None
    """The kind of model that sets its speed: a label of the metrics."""
    is_early: bool = False
    """Whether the rest of the run depends on it: if it fails, the run does."""
    feeds_chain: bool = False
    """Whether the later stages of its chunk or shard need its artifact: if it fails, they have
    nothing to work on and are never done.
    """
    can_be_missing: bool = False
    """Whether the transcript is published without its output, with a warning."""


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
        Pool.GPU, Scope.CHUNK, version=4, first_speed=40.0, model="transcription",
        feeds_chain=True,
        options=frozenset({  # without the batch size, which does not change the text
            "model", "revision", "compute_type", "task", "beam_size", "best_of", "patience",
            "length_penalty", "repetition_penalty", "no_repeat_ngram_size", "temperature",
            "temperature_increment_on_fallback", "compression_ratio_threshold",
            "logprob_threshold", "no_speech_threshold", "second_tries", "initial_prompt",
            "hotwords", "suppress_tokens", "max_new_tokens", "word_timestamps", "vad_threshold",
            "languages",
        }),
    ),
    Stage.ALIGN: StageDefinition(
        Pool.GPU, Scope.CHUNK, version=2, first_speed=100.0, model="transcription",
        options=frozenset({"aligner", "align_model"}), can_be_missing=True,
    ),
    Stage.EMBED_SPEAKERS: StageDefinition(
        Pool.GPU, Scope.SHARD, version=1, first_speed=50.0, model="speakers", can_be_missing=True,
        options=frozenset({"model", "diarize_model", "shard_seconds"}),
    ),
    Stage.DIARIZE: StageDefinition(
        Pool.CPU, Scope.JOB, version=1, first_speed=500.0, can_be_missing=True,
        options=frozenset({"num_speakers", "min_speakers", "max_speakers", "known_speakers"}),
    ),
    Stage.ASSEMBLE: StageDefinition(Pool.CPU, Scope.JOB, version=1, first_speed=2_000.0),
}  # fmt: skip

EARLY_STAGES = frozenset(stage for stage in Stage if STAGES[stage].is_early)
HEADER_STAGES = frozenset(stage for stage in Stage if STAGES[stage].scope is not Scope.JOB)


def queues(pool: Pool | None = None) -> tuple[str, ...]:
    """Return every queue, or those that one pool of workers reads; interactive lanes first."""
    return queues_of(stage for stage in Stage if pool is None or stage.pool is pool)


def queues_of(stages: Iterable[Stage]) -> tuple[str, ...]:
    """Return the queues of some stages; interactive lanes first."""
    chosen = frozenset(stages)
    return tuple(stage.queue(lane) for lane in Lane for stage in Stage if stage in chosen)
