"""Stage `fan_out`: send a message for each chunk and shard that has no artifact yet."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from celery import Signature

from tasks.app import app
from tasks.artifacts.presence import present
from tasks.execution.ending import begin, end_found
from tasks.execution.failing import settle
from tasks.execution.run import check_canceled
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.canvas import assembly, cost_of, fan_out_canvas
from tasks.runs.deadline import place_of
from tasks.runs.dependencies import fan_in, header_chains
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit
from tasks.state.cancellations import Canceled
from tasks.state.receipts import Receipt


@app.task(name=Stage.FAN_OUT.task_name, bind=True)
def fan_out(self: Any, tenant: str, job: str, run: int) -> Any:
    """Replace this task with the chord of the run's chunks and shards."""
    unit = Run(tenant, job, run).unit(Stage.FAN_OUT)
    with begin(self, unit) as (place, end), _lease(place, unit):
        started = time.perf_counter()
        try:
            check_canceled(place, unit)  # first: a deleted job has no records
            canvas = _canvas(place, unit)
            end(Receipt("computed", seconds=round(time.perf_counter() - started, 4)))
        except Canceled:
            end(Receipt("canceled"))
            canvas = assembly(self.app, unit.run)  # which ends at once, likewise
        except Exception as error:
            end(settle(self, place, unit, error))
            canvas = assembly(self.app, unit.run)  # it publishes the failure
        return self.replace(canvas)


@contextmanager
def _lease(place: Workplace, unit: Unit) -> Iterator[None]:
    """Hold a lease, though there is no artifact: it tells the reconciler that messages will come.

    Without it the reconciler would send the chunks' messages itself.
    """
    key, owner = keys.of_run(unit.run, unit.stage.value), f"{place.worker}:{uuid4().hex}"
    place.leases.take(key, owner)
    try:
        with place.watchdog.watch(key, owner, place.settings.deadline_floor_seconds):
            yield
    finally:
        place.leases.release(key, owner)


def _canvas(place: Workplace, unit: Unit) -> Signature:
    manifest = place.records.resolved(unit.run)
    options = manifest.options
    plan = place.records.plan(unit.run.tenant, unit.run.job)
    chains = header_chains(unit.run, options, plan)
    keyed = dict(place.records.keyed(unit for chain in chains for unit in chain))
    there = present(place.store, keyed.values())
    done = {unit for unit, key in keyed.items() if key in there}
    header = [rest for chain in chains if (rest := _remaining(place, chain, done))]
    body = fan_in(unit.run, options, plan)
    place_now = place_of(manifest, plan, time.time())
    return fan_out_canvas(app, header, body, place_now, cost_of(manifest, plan))


def _remaining(place: Workplace, chain: Sequence[Unit], done: Container[Unit]) -> Sequence[Unit]:
    """Return the units after the last one that is done; record those up to it as cached."""
    for position in reversed(range(len(chain))):
        if chain[position] in done:
            for unit in chain[: position + 1]:
                end_found(place, unit)
            return chain[position + 1 :]
    return chain
