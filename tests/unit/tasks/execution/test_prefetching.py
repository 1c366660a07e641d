"""Models that the operator names are loaded before a unit asks for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.signals import worker_ready
from structlog.testing import capture_logs

from gpu_worker.loaded import LoadedEngines
from tasks.execution import prefetching
from tasks.execution.prefetching import prefetch
from tasks.execution.workplace import Workplace
from tasks.runs.options import JobOptions
from tests.eventually import eventually


def expecting(place: Workplace, models: str, room: int = 1) -> tuple[Workplace, list[bool]]:
    """The place with these models to prefetch, and for each `get` whether it had to load."""
    loads: list[bool] = []
    changes = {"prefetch_models": models, "loaded_models": room, "allowed_models": "fake"}
    engines = LoadedEngines(room, lambda seconds: loads.append(seconds is not None))
    settings = place.settings.model_copy(update=changes)
    return replace(place, settings=settings, engines=engines, has_models=True), loads


def test_a_prefetched_model_is_that_of_a_job_that_names_it(place: Workplace) -> None:
    place, loads = expecting(place, "fake-20x")
    prefetch(place)
    place.engine(JobOptions(model="fake-20x"))
    place.engine(JobOptions(model="fake"))
    assert loads == [False, True]


def test_the_first_that_are_named_are_loaded_as_many_as_are_kept(place: Workplace) -> None:
    place, loads = expecting(place, " fake-3x, fake-2x,fake", room=2)
    with capture_logs() as lines:
        prefetch(place)
    assert [line["model"] for line in lines] == ["fake-3x", "fake-2x"]
    for name in ("fake-3x", "fake-2x", "fake"):
        place.engine(JobOptions(model=name))
    assert loads == [False, False, True]


@pytest.mark.parametrize("name", ["/etc", "owner/unknown", "base@0123abc", "no model", "-"])
def test_a_model_that_jobs_may_not_name_is_not_loaded_and_the_log_says_so(
    place: Workplace, name: str
) -> None:
    place, _ = expecting(place, f"{name},fake", room=2)
    with capture_logs() as lines:
        prefetch(place)
    assert [line["event"] for line in lines] == ["model_not_prefetched", "model_prefetched"]
    assert lines[0]["model"] == name and lines[0]["reason"]


class Consumer:
    """What Celery hands to the signal of a worker that is ready."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool


@pytest.mark.parametrize(
    ("models", "has_models", "pool", "begins"),
    [
        ("fake", True, None, True),
        ("", True, None, False),
        ("fake", False, None, False),
        ("fake", True, PreforkPool, False),
    ],
    ids=["named", "none named", "a CPU worker", "a worker with children"],
)
def test_a_worker_with_models_prefetches_when_it_is_ready(
    place: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    models: str,
    has_models: bool,
    pool: Any,
    begins: bool,
) -> None:
    begun: list[Workplace] = []
    place = replace(expecting(place, models)[0], has_models=has_models)
    monkeypatch.setattr(prefetching, "settings", lambda: place.settings)
    monkeypatch.setattr(prefetching, "workplace", lambda: place)
    monkeypatch.setattr(prefetching, "prefetch", begun.append)
    worker_ready.send(sender=Consumer(pool(1) if pool else None))
    # It begins in a thread; where it does not, there is none.
    assert eventually(lambda: begun == [place]) if begins else not begun


def test_auto_is_the_model_that_a_job_would_get(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Chosen:
        model = "fake"

    monkeypatch.setattr(prefetching, "choose_transcriber", lambda models, options: Chosen)
    place, loads = expecting(place, "auto")
    prefetch(place)
    place.engine(JobOptions(model="fake"))
    assert loads == [False]
