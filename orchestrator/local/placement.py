"""Choose which stages run on which GPU of this machine. Only `usable_gpus` looks at hardware.

`shared`: every worker does every stage, so no GPU is idle while any work waits. `by-stage`: each
GPU does few stages and holds few models, for machines whose GPUs are too small for all models.
Both are tested without GPUs: neither has run on a machine that has several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from gpu_worker.devices.nvml import read_gpus
from tasks.runs.stages import Pool, Stage

_GPU_STAGES = frozenset(stage for stage in Stage if stage.pool is Pool.GPU)
# The GPU of align also detects languages, so that a new job does not wait behind other chunks.
_AT_ALIGN = frozenset({Stage.ALIGN, Stage.DETECT_LANGUAGE})
_GROUPS = {  # by the stage that gets a GPU of its own
    Stage.TRANSCRIBE: frozenset({Stage.TRANSCRIBE}),
    Stage.ALIGN: _AT_ALIGN,
    Stage.EMBED_SPEAKERS: frozenset({Stage.EMBED_SPEAKERS}),
}


class Placement(StrEnum):
    """How stages are spread over GPUs."""

    SHARED = "shared"
    BY_STAGE = "by-stage"


def stages_by_gpu(
    gpus: Sequence[int], work_seconds: Mapping[Stage, float]
) -> dict[int, frozenset[Stage]]:
    """Return the stages of each usable GPU, by its index.

    `work_seconds`: each stage's backlog divided by its speed. From the fourth GPU on, each goes to
    the group of stages with the most work for each GPU that it has so far.
    """
    if len(gpus) < 2:
        return dict.fromkeys(gpus, _GPU_STAGES)
    if len(gpus) == 2:
        transcribes, rest = gpus
        return {
            transcribes: _GROUPS[Stage.TRANSCRIBE],
            rest: _GPU_STAGES - _GROUPS[Stage.TRANSCRIBE],
        }
    work = {
        stages: sum(work_seconds.get(stage, 0.0) for stage in stages) for stages in _GROUPS.values()
    }
    placed = list(_GROUPS.values())
    for _ in gpus[len(placed) :]:
        placed.append(max(work, key=lambda stages: work[stages] / placed.count(stages)))
    return dict(zip(gpus, placed, strict=True))


def usable_gpus() -> tuple[int, ...]:
    """Return the indexes of the NVIDIA GPUs that NVML can open and whose memory it can read.

    A GPU that fails this has dropped off the bus, or its driver has given it up.
    """
    return tuple(gpu.index for gpu in read_gpus() if gpu.memory_total_bytes is not None)
