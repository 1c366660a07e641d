"""A worker that cannot work finds it out; one that can is not blamed for a job's faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.errors import DeviceFault, LibraryMissing, OutOfMemory, ScratchUnusable
from gpu_worker.models.faults import ModelUnusable
from tasks.execution.fitness import FAILURES_IN_A_ROW, Fitness, check_scratch
from tests.inputs.examples import a_run


def a_bug() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [DeviceFault("no driver"), LibraryMissing(), OutOfMemory(), ModelUnusable("pico", "Broken.")],
    ids=repr,
)
def test_a_worker_is_unfit_if_its_test_shows_a_fault_of_its_own(error: Exception) -> None:
    def broken() -> None:
        raise error

    assert not Fitness(broken).is_fit()
    assert Fitness(lambda: None).is_fit()


def test_a_bug_in_the_test_ends_no_worker() -> None:
    assert Fitness(a_bug).is_fit()


def test_failures_in_a_row_of_several_jobs_are_the_worker_s() -> None:
    fitness = Fitness(lambda: None)
    told = [fitness.failed(a_run(job=f"job{number}")) for number in range(FAILURES_IN_A_ROW)]
    assert told == [False] * (FAILURES_IN_A_ROW - 1) + [True]


def test_failures_of_one_job_alone_are_the_job_s() -> None:
    fitness = Fitness(lambda: None)
    assert not any(fitness.failed(a_run()) for _ in range(10))


def test_a_success_clears_the_worker() -> None:
    fitness = Fitness(lambda: None)
    for number in range(10):
        assert not fitness.failed(a_run(job=f"job{number}"))
        fitness.succeeded()


def test_a_work_directory_that_takes_no_files_is_found(tmp_path: Path) -> None:
    check_scratch(tmp_path / "new" / "one")
    check_scratch(None)
    (tmp_path / "file").touch()
    with pytest.raises(ScratchUnusable, match="file"):
        check_scratch(tmp_path / "file" / "below")
