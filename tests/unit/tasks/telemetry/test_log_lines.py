"""Every line that a task writes names its job, stage and chunk."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import structlog
from celery import Celery

from config.logging import configure_logging
from gpu_worker.errors import StoreUnavailable
from tasks.execution.run import Work, run_unit
from tasks.execution.watchdog import Watchdog
from tasks.execution.workplace import Workplace
from tasks.runs.stages import Stage
from tasks.state.leases import Leases
from tasks.telemetry.log_lines import _configure
from tests.eventually import eventually
from tests.inputs.examples import JOB, a_manifest, a_plan, a_unit, write_records
from tests.unit.tasks.inline import run_task

Lines = Callable[[], list[dict[str, Any]]]
celery = Celery("log_lines")


@celery.task(name="logged_unit", bind=True, shared=False)
def logged_unit(self: Any, compute: Any) -> Any:
    return run_unit(self, a_unit(index=2), lambda place, unit: Work("artifact", compute, 10.0))


@pytest.fixture
def lines(place: Workplace) -> Lines:
    """The JSON lines so far."""
    configure_logging("INFO", "json")
    written = StringIO()
    (handler,) = [it for it in logging.getLogger().handlers if type(it) is logging.StreamHandler]
    handler.setStream(written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_units_lines_carry_its_names_whatever_happens(place: Workplace, lines: Lines) -> None:
    def compute(check: Callable[[], None]) -> dict[str, Any]:
        logging.getLogger("somebody.else").warning("something of its own")
        if faults:
            raise faults.pop()
        return {}

    write_records(place.store, a_manifest(), a_plan(10.0))
    faults: list[Exception] = [StoreUnavailable()]
    logged_unit.apply((compute,))
    faults = [ZeroDivisionError("a bug")] * 3
    place.store.delete("artifact")
    logged_unit.apply((compute,))
    found = [line for line in lines() if line["logger"].startswith(("tasks", "somebody.else"))]
    events = {"unit_started", "unit_retried", "unit_failed", "unit_ended", "something of its own"}
    assert {line["event"] for line in found} == events
    for line in found:
        assert (line["job"], line["stage"], line["chunk"]) == (JOB, "transcribe", 2), line


def test_celerys_own_lines_carry_them_too(place: Workplace, lines: Lines) -> None:
    write_records(place.store, a_manifest(), a_plan(10.0))
    place.store.put(place.records.key(a_unit()), b"{}")
    run_task(a_unit())
    (line,) = [line for line in lines() if line["logger"] == "celery.app.trace"]
    assert "succeeded" in line["event"]
    assert (line["job"], line["stage"], line["chunk"]) == (JOB, "transcribe", 0)
    assert structlog.contextvars.get_contextvars() == {}


def test_a_fan_outs_lines_carry_them(place: Workplace, lines: Lines) -> None:
    run_task(a_unit(Stage.FAN_OUT))  # of a job without records
    found = [line for line in lines() if line["logger"].startswith("tasks")]
    assert {line["event"] for line in found} >= {"unit_retried", "unit_failed"}
    for line in found:
        assert line["job"] == JOB and "stage" in line and "chunk" in line


def test_the_watchdogs_lines_carry_them(place: Workplace, lines: Lines) -> None:
    watchdog = Watchdog(Leases(place.redis, 30.0), place.attempts, 0.05)
    place.leases.take("artifact", "somebody:1")
    with (
        structlog.contextvars.bound_contextvars(job=JOB, stage="align", chunk=3),
        watchdog.watch("artifact", "me:1", 60.0),
    ):
        assert eventually(lambda: any(line["event"] == "lease_lost" for line in lines()))
    watchdog.end()
    (line,) = [line for line in lines() if line["event"] == "lease_lost"]
    assert (line["job"], line["stage"], line["chunk"]) == (JOB, "align", 3)


def test_nothing_is_written_of_a_message_before_its_job_is_known() -> None:
    strategy = logging.getLogger("celery.worker.strategy")
    before = strategy.level
    try:
        _configure()
        assert not strategy.isEnabledFor(logging.INFO)
        assert strategy.isEnabledFor(logging.WARNING)
    finally:
        strategy.setLevel(before)
