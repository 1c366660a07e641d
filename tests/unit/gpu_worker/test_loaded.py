"""A process keeps the engines it used last, each loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpu_worker import loaded
from gpu_worker.loaded import LoadedEngines, register_engine
from gpu_worker.transcription.engines import Engine, EngineRequest
from gpu_worker.transcription.engines.fake import FakeEngine


@pytest.fixture
def loads() -> Iterator[list[str]]:
    """The names that were loaded, by an engine of the test's own."""
    names: list[str] = []

    def load(request: EngineRequest) -> Engine:
        names.append(request.model)
        return FakeEngine(request.model)

    register_engine("counted", load)
    yield names
    del loaded._engines["counted"]


def test_an_engine_is_loaded_once(loads: list[str]) -> None:
    held = LoadedEngines(1)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(held.get, [EngineRequest("counted")] * 32))
    assert len(found) == 1
    assert loads == ["counted"]


def test_the_one_used_least_recently_goes_first(loads: list[str]) -> None:
    held = LoadedEngines(2)
    for name in ("counted-a", "counted-b", "counted-a", "counted-c", "counted-a", "counted-b"):
        held.get(EngineRequest(name))
    assert loads == ["counted-a", "counted-b", "counted-c", "counted-b"]


def test_another_compute_type_is_another_engine(loads: list[str]) -> None:
    held = LoadedEngines(2)
    held.get(EngineRequest("counted", compute_type="int8"))
    held.get(EngineRequest("counted", compute_type="float32"))
    assert len(loads) == 2


def test_who_wants_to_know_is_told_of_each_model_that_was_got(loads: list[str]) -> None:
    told: list[float | None] = []
    held = LoadedEngines(1, told.append)
    for name in ("counted-a", "counted-a", "counted-b"):
        held.get(EngineRequest(name))
    assert [seconds is None for seconds in told] == [False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["faster_whisper", "torch"])
def test_a_request_names_its_engine(engine: str) -> None:
    found = loaded.load_engine(EngineRequest("pico", device="cpu", threads=1, engine=engine))
    assert engine.replace("_", "") in type(found).__name__.lower()
