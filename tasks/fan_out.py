"""Stage `fan_out`: one message for each chunk that has no artifact yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery import Signature

from tasks.app import app
from tasks.execution import settle
from tasks.lifecycle import Workplace, workplace
from tasks.pipeline import assembly, chunk_canvas
from tasks.receipts import Receipt
from tasks.records import Records, exists
from tasks.stages import CHUNK_STAGES, Stage, Unit


@app.task(name=Stage.FAN_OUT.task_name, bind=True)
def fan_out(self: Any, tenant: str, job: str, run: int) -> Any:
    """Replace this task with the chord of the run's chunks."""
    unit = Unit(tenant, job, run, Stage.FAN_OUT)
    place = workplace()
    try:
        canvas = _canvas(place, unit)
    except Exception as error:
        settle(self, place, unit, error)
        canvas = assembly(self.app, unit)  # it publishes the failure
    return self.replace(canvas)


def _canvas(place: Workplace, unit: Unit) -> Signature:
    records = place.records
    manifest = records.manifest(unit.tenant, unit.job)
    plan = records.plan(unit.tenant, unit.job)
    todo = [index for index in range(len(plan.chunks)) if not _is_done(place, records, unit, index)]
    return chunk_canvas(app, unit, todo, plan.lane(manifest.options))


def _is_done(place: Workplace, records: Records, unit: Unit, index: int) -> bool:
    """Whether a chunk's last artifact is there; if so it counts as progress at once."""
    chunk = replace(unit, stage=CHUNK_STAGES[-1], index=index)
    done = exists(place.store, records.key(chunk))
    if done:
        place.ledger.record(chunk, Receipt("cached"))
    return done
