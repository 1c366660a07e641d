"""Stage `fan_out`: a message for each chunk and shard that has no artifact yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from celery import Signature

from tasks.app import app
from tasks.execution.run import settle
from tasks.execution.workplace import Workplace, workplace
from tasks.runs import keys
from tasks.runs.canvas import assembly, fan_out_canvas
from tasks.runs.dependencies import fan_in, header_chains
from tasks.runs.records import exists
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.counts import count_end, count_look
from tasks.telemetry.tracing import unit_span


@app.task(name=Stage.FAN_OUT.task_name, bind=True)
def fan_out(self: Any, tenant: str, job: str, run: int) -> Any:
    """Replace this task with the chord of the run's chunks and shards."""
    unit = Run(tenant, job, run).unit(Stage.FAN_OUT)
    place = workplace()
    with unit_span(place, self.request, unit) as tell, _lease(place, unit):
        try:
            canvas = _canvas(place, unit)
            tell(Receipt("computed"))
        except Exception as error:
            tell(settle(self, place, unit, error))
            canvas = assembly(self.app, unit.run)  # it publishes the failure
        return self.replace(canvas)


@contextmanager
def _lease(place: Workplace, unit: Unit) -> Iterator[None]:
    """It has no artifact, but the reconciler must see that its messages are still to come."""
    key, owner = keys.of_run(unit.run, unit.stage.value), f"{place.worker}:{uuid4().hex}"
    place.leases.take(key, owner)
    try:
        with place.watchdog.watch(key, owner, place.settings.deadline_floor_seconds):
            yield
    finally:
        place.leases.release(key, owner)


def _canvas(place: Workplace, unit: Unit) -> Signature:
    options = place.records.resolved(unit.run).options
    plan = place.records.plan(unit.run.tenant, unit.run.job)
    chains = (_remaining(place, chain) for chain in header_chains(unit.run, options, plan))
    header = [chain for chain in chains if chain]
    return fan_out_canvas(app, header, fan_in(unit.run, options, plan), plan.lane(options))


def _remaining(place: Workplace, chain: Sequence[Unit]) -> Sequence[Unit]:
    """What is behind the last artifact that is there; what is before it counts as progress."""
    for position in reversed(range(len(chain))):
        if exists(place.store, place.records.key(chain[position])):
            receipt = Receipt("cached")
            for unit in chain[: position + 1]:
                count_look(unit, found=True)
                count_end(unit, receipt)
                place.ledger.record(unit, receipt)
            return chain[position + 1 :]
    return chain
