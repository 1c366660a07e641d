"""A job's tasks run here and now, in this process: Celery's own eager mode."""

from __future__ import annotations

from typing import Any

from redis import Redis

from orchestrator.cluster.job import Job
from tasks.app import app
from tasks.fair_queue import clear
from tasks.runs.stages import HEADER_STAGES, Stage, queues
from tasks.runs.units import Unit
from tests.inputs.examples import a_unit

app.loader.import_default_modules()  # as a worker does: each stage's module registers its task


def run_task(unit: Unit) -> Any:
    """What the unit's task returns, after as many tries as it takes."""
    run = unit.run
    arguments: dict[str, Any] = {"tenant": run.tenant, "job": run.job, "run": run.number}
    if unit.stage in HEADER_STAGES:
        arguments["index"] = unit.index
    return app.tasks[unit.stage.task_name].apply(kwargs=arguments).get()


def run_job(redis: Redis, job: Job) -> None:
    """All stages of a submitted job, and none of its messages."""
    clear(redis, queues())
    for stage in (Stage.PREPARE, Stage.DETECT_LANGUAGE, Stage.FAN_OUT):
        receipt = run_task(a_unit(stage, job=job.id, run=job.run))
        if receipt and receipt["outcome"] == "failed":
            run_task(a_unit(Stage.ASSEMBLE, job=job.id, run=job.run))
            return
