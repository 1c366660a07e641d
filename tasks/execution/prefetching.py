"""Load models into a worker before a unit asks for them, in a thread beside its other work.

The operator names them in `prefetch_models`. A failure is only logged: the unit that needs the
model tries again, and fails with the reason.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.signals import worker_ready

from config.limits import names_in_order
from config.settings import settings
from gpu_worker.models.whisper import AUTO
from tasks.execution.workplace import Workplace, workplace
from tasks.runs.choice import choose_transcriber
from tasks.runs.options import JobOptions

log = structlog.get_logger(__name__)


def prefetch(place: Workplace) -> None:
    """Load the first of the models that are named, as many as the worker keeps. Raises nothing."""
    for listed in names_in_order(place.settings.prefetch_models)[: place.settings.loaded_models]:
        started = time.perf_counter()
        try:
            is_there = place.engines.prefetch(place.engine_request(_options(place, listed)))
        except Exception as error:
            log.warning("model_not_prefetched", model=listed, reason=str(error) or repr(error))
            continue
        seconds = round(time.perf_counter() - started, 3)
        event = "model_prefetched" if is_there else "no_room_to_prefetch"
        log.info(event, model=listed, seconds=seconds)


def _options(place: Workplace, listed: str) -> JobOptions:
    """Return the options of a job that names the model: `name`, `name@revision` or `auto`."""
    name, _, revision = listed.partition("@")
    options = JobOptions(model=name, revision=revision or None)
    if name != AUTO:
        return options
    chosen = choose_transcriber(place.model_place(), options).model
    return JobOptions.model_validate(options.model_dump() | {"model": chosen})  # with its beams


@worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    """Begin to load. A worker with child processes does not: they load models, not this one."""
    if not settings().prefetch_models or isinstance(getattr(sender, "pool", None), PreforkPool):
        return
    place = workplace()
    if place.has_models:
        threading.Thread(target=prefetch, args=(place,), name="prefetch", daemon=True).start()
