"""A plugin for workers that writes down when each step of a start is over.

It knows no other module of the benchmarks, so that a worker of any version can import it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_init, worker_ready

from gpu_worker.loaded import LoadedEngines

_FILE = "START_MARKS_FILE"  # variable with the path of the file


def _mark(step: str) -> None:
    with Path(os.environ[_FILE]).open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"step": step, "at": time.time(), "used": time.process_time()}) + "\n"
        )


_mark("imported")  # celery imports its plugins last


@worker_init.connect
def _tested(**_: Any) -> None:
    """The product's own receiver, with the self test, was connected before this one."""
    _mark("tested")


@worker_ready.connect
def _ready(**_: Any) -> None:
    _mark("ready")


@task_prerun.connect
def _begun(task: Any = None, **_: Any) -> None:
    if task.name.endswith("transcribe"):
        _mark("begun")


@task_postrun.connect
def _ended(task: Any = None, retval: Any = None, **_: Any) -> None:
    if task.name.endswith("transcribe") and retval["outcome"] == "computed":
        _mark("text")


_get: Any = LoadedEngines.get


def _get_and_mark(models: Any, request: Any) -> Any:
    model = _get(models, request)
    _mark("model")
    return model


LoadedEngines.get = _get_and_mark  # type: ignore[method-assign, assignment]
