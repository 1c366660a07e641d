"""The load of a pool: its part of all runs' work, at the speed measured there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.open_runs.work import StageWork
from orchestrator.scaling.deadlines import Due, joined
from orchestrator.scaling.policy import Load, StageLoad
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import EARLY_STAGES, Stage
from tasks.state.speeds import Speed, SpeedName

FIRST_JOB_SECONDS = 600.0  # assumed length of a file, until one was prepared


def pool_load(
    pool: WorkerPool,
    work: Iterable[StageWork],
    in_flight: Mapping[Stage, int],
    speeds: Mapping[SpeedName, Speed],
    job_seconds: float = FIRST_JOB_SECONDS,
    due: Iterable[tuple[float, StageWork]] = (),
) -> Load:
    """Return one pool's part of all runs' work, at the speed measured in this pool.

    `due`: the part of the work that has a `ready_by`, each with its own, in seconds since 1970.
    `job_seconds`: assumed for each unit of work whose audio is of unknown length.
    """
    stages: dict[Stage, StageLoad] = {}
    is_early = False
    for item in work:
        is_early = is_early or item.stage in EARLY_STAGES
        if item.stage not in pool.work:
            continue
        speed = speed_of(pool, item.stage, item.model, speeds)
        old = stages.get(item.stage, StageLoad(0.0, speed))
        added = item.audio_seconds
        if added is None:
            added = item.units * job_seconds
        audio = old.audio_seconds + added
        seconds = old.audio_seconds / old.speed + added / speed
        # With several models, the speed is that of the mixture.
        stages[item.stage] = StageLoad(
            audio, audio / seconds if seconds else speed, old.units + item.units
        )
    loads = {
        stage: replace(load, in_flight=in_flight.get(stage, 0)) for stage, load in stages.items()
    }
    dated = (
        Due(ready_by, (item.audio_seconds or 0.0) / speed_of(pool, item.stage, item.model, speeds))
        for ready_by, item in due
        if item.stage in pool.work
    )
    is_expected = is_early and not loads and Stage.TRANSCRIBE in pool.work
    return Load(loads, is_expected, joined(dated))


def speed_of(
    pool: WorkerPool, stage: Stage, model: str, speeds: Mapping[SpeedName, Speed]
) -> float:
    """Return seconds of audio per second of one unit at a time.

    Takes the speed measured in this pool, else the lowest of another model there, else the first
    speed of the stage's definition.
    """
    measured = speeds.get(SpeedName(pool.name, stage, model))
    if measured is None:
        others = [
            speed
            for name, speed in speeds.items()
            if name.pool == pool.name and name.stage is stage
        ]
        measured = min(others, key=lambda one: one.audio_seconds_per_second, default=None)
    return measured.audio_seconds_per_second if measured else stage.definition.first_speed
