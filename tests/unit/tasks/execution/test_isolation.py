"""A suspect runs alone; the others run together."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tasks.execution.isolation import Isolation
from tests.eventually import PATIENCE_SECONDS, eventually


def test_innocent_units_run_together() -> None:
    isolation = Isolation()
    with isolation.held(alone=False), isolation.held(alone=False):
        pass


def test_a_suspect_waits_for_its_neighbours_and_newcomers_wait_for_it() -> None:
    isolation, ended = Isolation(), threading.Event()
    order: list[str] = []

    def run(name: str, alone: bool) -> None:
        with isolation.held(alone=alone):
            order.append(name)

    def busy() -> None:
        with isolation.held(alone=False):
            order.append("neighbour")
            ended.wait(PATIENCE_SECONDS)
            order.append("neighbour ends")

    with ThreadPoolExecutor(3) as pool:
        waiting: list[Future[None]] = [pool.submit(busy)]
        assert eventually(lambda: order == ["neighbour"])
        waiting.append(pool.submit(run, "suspect", True))
        assert eventually(lambda: isolation._waiting == 1)
        waiting.append(pool.submit(run, "newcomer", False))
        ended.set()
        for one in waiting:
            one.result(PATIENCE_SECONDS)
    assert order == ["neighbour", "neighbour ends", "suspect", "newcomer"]


def test_a_suspect_that_fails_lets_the_others_go_on() -> None:
    isolation = Isolation()
    with pytest.raises(ZeroDivisionError), isolation.held(alone=True):
        raise ZeroDivisionError
    with isolation.held(alone=False):
        pass
