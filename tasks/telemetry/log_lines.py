"""Put tenant, job, run, stage and chunk into every log line of a task, also into libraries' lines.

Celery uses its threads again, so the names are removed when the task ends.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import Token
from typing import Any

import structlog
from celery.signals import setup_logging, task_postrun, task_prerun

from config.logging import configure_logging
from config.settings import settings
from tasks.runs.stages import Stage

_STAGES = {stage.task_name: stage.value for stage in Stage}
_BOUND = "scriptorium_log_lines"  # attribute of the task's request


@setup_logging.connect
def _configure(**_: Any) -> None:
    configure_logging(settings().log_level, settings().log_format)
    # "Task received" is logged before the job's names are bound; our own lines say the same.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


@task_prerun.connect
def _bind(task: Any = None, kwargs: Mapping[str, Any] | None = None, **_: Any) -> None:
    names = {
        name: value
        for name, value in (kwargs or {}).items()
        if name in ("tenant", "job", "run") and task.name in _STAGES
    }
    if names:
        names |= {"stage": _STAGES[task.name], "chunk": (kwargs or {}).get("index", 0)}
        task.request.update({_BOUND: structlog.contextvars.bind_contextvars(**names)})


@task_postrun.connect
def _let_go(task: Any = None, **_: Any) -> None:
    bound: Mapping[str, Token[Any]] | None = task.request.get(_BOUND)
    if bound:
        structlog.contextvars.reset_contextvars(**bound)
