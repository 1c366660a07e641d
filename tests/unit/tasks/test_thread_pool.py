"""Every task of a pool of threads ends for the worker, also if its result cannot be stored."""

from __future__ import annotations

from typing import Any

from celery.concurrency import get_implementation
from redis.exceptions import ReadOnlyError

from config.settings import Settings
from tasks.broker import make_app
from tasks.thread_pool import ThreadPool
from tests.eventually import eventually


def ended(target: Any) -> list[Any]:
    """What the worker is told about a task."""
    told: list[Any] = []
    pool = ThreadPool(1)
    try:
        pool.on_apply(target, callback=told.append, accept_callback=lambda *_: None)
        assert eventually(lambda: bool(told))
    finally:
        pool.on_stop()
    return told


def test_a_task_that_succeeds_ends_once() -> None:
    assert ended(lambda: (False, "result", 0.1)) == [(False, "result", 0.1)]


def test_a_task_whose_result_redis_refuses_ends_as_a_failure() -> None:
    def refused() -> None:
        raise ReadOnlyError("You can't write against a read only replica.")

    ((is_failed, info, _),) = ended(refused)
    assert is_failed
    assert "read only replica" in str(info.exception)


def test_it_is_what_a_worker_with_threads_uses() -> None:
    make_app(Settings())
    assert get_implementation("threads") is ThreadPool
