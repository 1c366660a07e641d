"""A worker that lacks what each of its units needs finds it out before it takes one."""

from __future__ import annotations

from typing import NoReturn

import pytest

from config.settings import Settings
from gpu_worker.errors import LibraryMissing, OutOfMemory, UnknownModel, WorkerFault
from gpu_worker.models.faults import ModelUnusable
from tasks.execution import self_test
from tasks.execution.self_test import check_worker

HARDWARE = {"device": "cpu", "threads": 1}


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ModuleNotFoundError("No module named 'faster_whisper'"), LibraryMissing),
        (MemoryError("CUDA failed with error out of memory"), OutOfMemory),
        (UnknownModel("'pico' is not a Whisper model."), ModelUnusable),
    ],
    ids=repr,
)
def test_what_the_smallest_model_cannot_be_loaded_for_is_the_worker_s(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, told: type[Exception]
) -> None:
    def fail(_: object) -> NoReturn:
        raise raised

    monkeypatch.setattr(self_test, "load_engine", fail)
    with pytest.raises(told):
        check_worker(Settings(), HARDWARE, has_models=True)
    check_worker(Settings(), HARDWARE, has_models=False)  # it needs none


@pytest.mark.needs("faster_whisper")
def test_a_worker_told_a_gpu_that_is_not_there_is_unfit() -> None:
    with pytest.raises(WorkerFault):
        check_worker(Settings(), HARDWARE | {"device": "cuda"}, has_models=True)
