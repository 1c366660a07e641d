"""The canvas: which stage follows which, as Celery signatures by name.

    chain(prepare, detect_language, fan_out)       fan_out replaces itself with
    chord([chain(transcribe, align), …,            a chain for each chunk
           embed_speakers, …],                     a task for each shard
          chain(diarize, assemble))

Messages carry only ids. To send them, no stage's code need be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, Signature, chain, chord

from tasks.fair_queue import Share, early
from tasks.runs.deadline import EARLY_WEIGHT, WaitingPlace
from tasks.runs.dependencies import needs_detection
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import HEADER_STAGES, Lane, Stage
from tasks.runs.units import Run, Unit

# Seconds of audio for which a unit takes its tenant's turn, divided by the tenant's weight.
Cost = Callable[[Unit], float]


def equal_cost(unit: Unit) -> float:
    """Return the cost of a unit whose audio is not known yet, or hardly matters."""
    return 1.0


def cost_of(manifest: Manifest, plan: Plan) -> Cost:
    """Return the costs of a planned job's units: those of chunks and shards differ."""
    weight = manifest.weight or 1.0

    def cost(unit: Unit) -> float:
        is_part = unit.stage in HEADER_STAGES
        return (plan.seconds_of(unit, manifest.options) if is_part else 1.0) / weight

    return cost


def signature(
    celery: Celery, unit: Unit, place: Lane | WaitingPlace, cost: Cost = equal_cost
) -> Signature:
    """Return the message that asks for one unit.

    `diarize` and `assemble` always use the interactive lane: they are quick and end the job.
    """
    lane, is_early = (
        (place.lane, place.is_early) if isinstance(place, WaitingPlace) else (place, False)
    )
    share = Share(unit.run.tenant, cost(unit))
    arguments: dict[str, Any] = {
        "tenant": unit.run.tenant,
        "job": unit.run.job,
        "run": unit.run.number,
    }
    if unit.stage in HEADER_STAGES:
        arguments["index"] = unit.index
        if is_early:
            share = Share(early(unit.run.tenant), cost(unit) / EARLY_WEIGHT)
    elif unit.stage in (Stage.DIARIZE, Stage.ASSEMBLE):
        lane = Lane.INTERACTIVE
    return celery.signature(
        unit.stage.task_name,
        kwargs=arguments,
        queue=unit.stage.queue(lane),
        headers=share.headers(),
        # What a unit returns is read nowhere. A chord counts its header's units all the same.
        ignore_result=True,
        immutable=True,
    )


def chain_of(
    celery: Celery, units: Sequence[Unit], place: Lane | WaitingPlace, cost: Cost = equal_cost
) -> Signature:
    """Return the messages of units that follow one another."""
    return chain(*(signature(celery, unit, place, cost) for unit in units))


def run_canvas(
    celery: Celery, manifest: Manifest, run: Run, *, prepared: bool = False
) -> Signature:
    """Return the messages of a run up to `fan_out`; without `prepare` if it is `prepared`.

    The lane is the one that the options name, else interactive: the audio's length, which
    decides it, is not known yet.
    """
    lane = manifest.options.lane or Lane.INTERACTIVE
    stages = [] if prepared else [Stage.PREPARE]
    if needs_detection(manifest.options):
        stages.append(Stage.DETECT_LANGUAGE)
    units = [run.unit(stage) for stage in (*stages, Stage.FAN_OUT)]
    weight = manifest.weight or 1.0
    return chain_of(celery, units, lane, lambda _: 1.0 / weight)


def fan_out_canvas(
    celery: Celery,
    header: Sequence[Sequence[Unit]],
    body: Sequence[Unit],
    place: Lane | WaitingPlace,
    cost: Cost = equal_cost,
) -> Signature:
    """Return a chord: the header's chains side by side, then the units of the body in turn."""
    behind = chain_of(celery, body, place)
    if not header:
        return behind
    return chord([chain_of(celery, units, place, cost) for units in header], behind, app=celery)


def assembly(celery: Celery, run: Run) -> Signature:
    """Return the message of `assemble`, which ends every run but a canceled one."""
    return signature(celery, run.unit(Stage.ASSEMBLE), Lane.INTERACTIVE)
