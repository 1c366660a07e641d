"""The stages of a job, their queues and their task names.

Pure names: importing this loads no task, so whoever sends messages needs none of
the code that does the work.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Pool(StrEnum):
    """The kind of worker a stage needs."""

    CPU = "cpu"  # prefork processes
    GPU = "gpu"  # one process a GPU, threads inside


class Lane(StrEnum):
    """Which of a stage's two queues a job uses."""

    INTERACTIVE = "interactive"  # somebody waits for it
    BULK = "bulk"


class Stage(StrEnum):
    """One step of a job."""

    PREPARE = "prepare"  # decode, hash, cut
    DETECT_LANGUAGE = "detect_language"  # only if it was not given
    FAN_OUT = "fan_out"  # one message a chunk and one a shard
    TRANSCRIBE = "transcribe"  # a chunk to segments
    ALIGN = "align"  # a chunk's words to exact times
    EMBED_SPEAKERS = "embed_speakers"  # a shard to segmentations and embeddings
    DIARIZE = "diarize"  # all shards to turns
    ASSEMBLE = "assemble"  # everything to the published result

    @property
    def pool(self) -> Pool:
        """The workers that do it."""
        return Pool.GPU if self in _GPU_STAGES else Pool.CPU

    @property
    def task_name(self) -> str:
        """The Celery task's name; explicit, so that moving a file orphans no message."""
        return f"scriptorium.{self.value}"

    def queue(self, lane: Lane) -> str:
        """The queue of this stage in one lane."""
        return f"{self.value}.{lane.value}"


_GPU_STAGES = frozenset(
    {Stage.DETECT_LANGUAGE, Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS}
)
EARLY_STAGES = frozenset(
    {Stage.PREPARE, Stage.DETECT_LANGUAGE, Stage.FAN_OUT}
)  # all depends on them
HEADER_STAGES = frozenset({Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS})  # of many units


def queues(pool: Pool | None = None) -> tuple[str, ...]:
    """Every queue, or those that one pool of workers reads; interactive lanes first."""
    return queues_of(stage for stage in Stage if pool is None or stage.pool is pool)


def queues_of(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The queues of some stages; interactive lanes first."""
    chosen = frozenset(stages)
    return tuple(stage.queue(lane) for lane in Lane for stage in Stage if stage in chosen)
