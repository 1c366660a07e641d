"""Celery's pool of threads, with an end for every task.

Celery stores a task's result behind its work. If Redis refuses that write, the error leaves the
thread without a word to the worker: the task stays active, its message stays taken, and the slot
is lost for ever. Here the worker is told, so it acknowledges the message and takes the next one.
The result is only a hint: the artifact is written before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery.concurrency import ALIASES
from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool

log = structlog.get_logger(__name__)


class ThreadPool(TaskPool):
    """A pool of threads whose tasks all end for the worker."""

    def on_apply(
        self,
        target: Any,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> ApplyResult:
        """Run a task in a thread; call `callback` also if Celery's own part of it raises."""

        def run() -> None:
            try:
                apply_target(target, args or (), kwargs, callback, accept_callback)
            except Exception as error:
                log.warning("result_not_stored", reason=repr(error))
                if callback is not None:
                    callback((True, ExceptionInfo(), 0.0))  # failed, the exception, seconds

        return ApplyResult(self.executor.submit(run))


def end_every_task() -> None:
    """Let `--pool threads` mean `ThreadPool` in this process."""
    ALIASES["threads"] = f"{__name__}:{ThreadPool.__name__}"
