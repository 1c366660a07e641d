"""The canvas: which stage follows which, as Celery signatures by name.

    chain(prepare, detect_language, fan_out)   fan_out replaces itself with
    chord([transcribe, …], assemble)           one header task a chunk

Messages carry ids only, and no code of a stage is needed to send them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, Signature, chain, chord

from tasks.manifest import Manifest
from tasks.receipts import Receipt
from tasks.stages import CHUNK_STAGES, Lane, Stage, Unit


def signature(celery: Celery, unit: Unit, lane: Lane) -> Signature:
    """The message that asks for one unit."""
    arguments: dict[str, Any] = {"tenant": unit.tenant, "job": unit.job, "run": unit.run}
    if unit.stage in CHUNK_STAGES:
        arguments["index"] = unit.index
    return celery.signature(
        unit.stage.task_name, kwargs=arguments, queue=unit.stage.queue(lane), immutable=True
    )


def run_canvas(
    celery: Celery, manifest: Manifest, run: int, *, prepared: bool = False
) -> Signature:
    """A whole run, or what follows on `prepare`. The length is unknown yet, so is the lane."""
    lane = manifest.options.lane or Lane.INTERACTIVE
    stages = [] if prepared else [Stage.PREPARE]
    if manifest.options.language is None:
        stages.append(Stage.DETECT_LANGUAGE)
    units = [Unit(manifest.tenant, manifest.job, run, stage) for stage in (*stages, Stage.FAN_OUT)]
    return chain(*(signature(celery, unit, lane) for unit in units))


def chunk_canvas(celery: Celery, unit: Unit, indexes: Sequence[int], lane: Lane) -> Signature:
    """One header task for each chunk, and `assemble` behind them all."""
    body = assembly(celery, unit)
    if not indexes:
        return body
    header = [
        chain(
            *(
                signature(celery, Unit(unit.tenant, unit.job, unit.run, stage, index), lane)
                for stage in CHUNK_STAGES
            )
        )
        for index in indexes
    ]
    return chord(header, body, app=celery)


def assembly(celery: Celery, unit: Unit) -> Signature:
    """The fan-in of a run; quick, and somebody waits for it in either lane."""
    return signature(
        celery, Unit(unit.tenant, unit.job, unit.run, Stage.ASSEMBLE), Lane.INTERACTIVE
    )


def end_early(task: Any, unit: Unit, receipt: Receipt) -> None:
    """After a stage that the rest depends on: go on only if it was done."""
    if receipt.outcome in ("computed", "cached"):
        return
    task.request.chain = None
    if receipt.outcome == "failed":
        assembly(task.app, unit).apply_async(ignore_result=True)
