"""A model that is prefetched is there when it is asked for, and holds up no other model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import pytest

from gpu_worker.models.in_memory import LoadedModels
from tests.eventually import PATIENCE_SECONDS


@dataclass(frozen=True)
class Named:
    model: str


class SlowLoads:
    """Loads a model at once, or once it may if it is named `slow`; writes down each load."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.has_begun, self.may_end = Event(), Event()

    def __call__(self, request: Named) -> str:
        self.names.append(request.model)
        if request.model.startswith("slow"):
            self.has_begun.set()
            assert self.may_end.wait(PATIENCE_SECONDS)
        if request.model.endswith("broken"):
            raise ValueError(request.model)
        return request.model.upper()


@pytest.fixture
def loads() -> SlowLoads:
    return SlowLoads()


@pytest.fixture
def threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4)


Held = LoadedModels[Named, str]


def test_a_prefetched_model_is_not_loaded_again(loads: SlowLoads) -> None:
    told: list[float | None] = []
    held = Held(1, loads, told.append)
    assert held.prefetch(Named("base"))
    assert held.get(Named("base")) == "BASE"
    assert loads.names == ["base"]
    assert told == [None]


def test_who_asks_for_a_model_that_is_being_prefetched_waits_for_it(
    loads: SlowLoads, threads: ThreadPoolExecutor
) -> None:
    held = Held(1, loads)
    with threads:
        prefetched = threads.submit(held.prefetch, Named("slow"))
        assert loads.has_begun.wait(PATIENCE_SECONDS)
        asked = [threads.submit(held.get, Named("slow")) for _ in range(3)]
        assert not any(each.done() for each in asked)
        loads.may_end.set()
        assert {each.result(PATIENCE_SECONDS) for each in asked} == {"SLOW"}
        assert prefetched.result()
    assert loads.names == ["slow"]


def test_who_asks_for_another_model_does_not_wait(
    loads: SlowLoads, threads: ThreadPoolExecutor
) -> None:
    held = Held(1, loads)
    with threads:
        prefetched = threads.submit(held.prefetch, Named("slow"))
        assert loads.has_begun.wait(PATIENCE_SECONDS)
        assert threads.submit(held.get, Named("base")).result(PATIENCE_SECONDS) == "BASE"
        loads.may_end.set()
        assert not prefetched.result(PATIENCE_SECONDS), "the model that is used keeps its place"
    assert held.get(Named("base")) == "BASE"
    assert loads.names == ["slow", "base"]


def test_no_more_models_are_prefetched_than_have_room(loads: SlowLoads) -> None:
    held = Held(2, loads)
    assert [held.prefetch(Named(name)) for name in ("a", "b", "c", "a")] == [
        True,
        True,
        False,
        True,
    ]
    assert loads.names == ["a", "b"]


@pytest.mark.parametrize("name", ["broken", "slow-broken"])
def test_a_model_that_cannot_be_prefetched_is_tried_again_when_it_is_asked_for(
    loads: SlowLoads, name: str
) -> None:
    held = Held(1, loads)
    loads.may_end.set()
    calls: tuple[Callable[[Named], object], ...] = (held.prefetch, held.get, held.prefetch)
    for call in calls:
        with pytest.raises(ValueError, match=name):
            call(Named(name))
    assert held.get(Named("base")) == "BASE"
