"""A plan has as few workers as reach the wait, and memory and store by the files."""

from __future__ import annotations

import math

import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.planning.demand import DAY, Demand, FileLengths
from orchestrator.planning.plan import PCM_MB, RESULTS_MB, Prices, Workers, make_plan

pytestmark = pytest.mark.slow  # each plays days
CALLS = (FileLengths(1.0, 60.0, 600.0),)
WORKERS = Workers(gpu_speed=40.0, cpu_speed=400.0)


def test_the_busy_gpus_follow_from_hours_peak_and_speed() -> None:
    found = make_plan(Demand(960.0, 2.0, CALLS), WORKERS)
    assert found.busy_gpus == pytest.approx(2.0)
    assert found.always_on.gpus >= 3
    assert found.always_on.gpu_hours == 24 * found.always_on.gpus
    assert found.scaled.gpu_hours > 24.0


def test_with_more_workers_files_wait_less() -> None:
    patient = make_plan(Demand(250.0, 2.0, CALLS), Workers(5.0, 400.0, wait_seconds=600.0))
    hasty = make_plan(Demand(250.0, 2.0, CALLS), Workers(5.0, 400.0, wait_seconds=20.0))
    assert hasty.always_on.gpus > patient.always_on.gpus
    assert patient.always_on.high_wait > 20.0  # so that as few were not enough
    assert hasty.always_on.reaches
    assert hasty.always_on.high_wait <= 20.0


def test_a_wait_below_the_start_of_a_worker_is_reached_by_workers_that_are_there() -> None:
    found = make_plan(Demand(200.0, 3.0, CALLS), Workers(40.0, 400.0, wait_seconds=20.0))
    assert not found.scaled.reaches
    assert found.always_on.reaches


def test_the_store_grows_by_source_pcm_and_results() -> None:
    found = make_plan(Demand(10.0), WORKERS, keep_days=7.0, source_mb=100.0)
    assert found.store_bytes_a_day == pytest.approx(10 * (100 + PCM_MB + RESULTS_MB) * 1e6)
    assert found.kept_bytes == pytest.approx(7 * found.store_bytes_a_day)


def test_redis_holds_what_is_open_and_a_day_of_what_ended() -> None:
    small, large = (make_plan(Demand(hours), WORKERS) for hours in (10.0, 1_000.0))
    assert large.redis_bytes - small.redis_bytes >= 8e3 * 0.9 * 990 * 3_600 / 984


def test_cpu_workers_are_enough_for_the_peak() -> None:
    found = make_plan(Demand(24_000.0, 2.0, CALLS), WORKERS)
    assert found.cpu_workers == 8  # 2,000 hours in an hour, 400 each, at 0.7 of their speed


def test_the_cost_is_of_gpus_workers_and_the_store() -> None:
    prices = Prices(gpu_hour=2.0, cpu_worker_hour=0.1, gigabyte_month=0.03)
    found = make_plan(Demand(24.0), WORKERS, keep_days=30.0, prices=prices)
    store = found.kept_bytes / 1e9 * 0.03 * 12 / 365
    other = found.cpu_workers * 2.4 + store
    assert found.scaled_cost == pytest.approx(2 * found.scaled.gpu_hours + other)
    assert found.always_on_cost == pytest.approx(2 * found.always_on.gpu_hours + other)


def test_a_very_large_demand_is_planned_by_the_middle_of_its_day() -> None:
    found = make_plan(Demand(100_000.0, 2.0, CALLS), WORKERS)
    assert found.busy_gpus == pytest.approx(100_000 / 24 * 2 / 40)
    assert found.always_on.gpus >= found.busy_gpus
    assert 1.0 < found.scaled.gpu_hours / (100_000 / 40) < 1.5


@pytest.mark.parametrize(
    ("hours", "peak", "files"),
    [
        (0.01, 20.0, CALLS),
        (0.01, 1.0, (FileLengths(1.0, 72_000.0, 72_000.0),)),  # one of 20 hours in five years
        (1.0, 1.0, (FileLengths(1.0, 72_000.0, 72_000.0),)),
    ],
)
def test_a_demand_of_very_few_files_is_planned_by_more_than_a_week(
    hours: float, peak: float, files: tuple[FileLengths, ...]
) -> None:
    found = make_plan(Demand(hours, peak, files), WORKERS)
    assert found.scaled.reaches and found.always_on.reaches
    assert hours / 40 < found.scaled.gpu_hours < 1.0
    assert found.cpu_workers == 1


def test_no_wait_at_all_is_reached_by_workers_that_are_there_and_is_no_less_than_0() -> None:
    found = make_plan(Demand(10.0, 20.0), Workers(28.6, 400.0, 0.0, 0.0))
    assert found.always_on.reaches
    assert found.always_on.median_wait == found.always_on.high_wait == 0.0
    for wait in (found.always_on.median_wait, found.always_on.high_wait):
        assert math.copysign(1.0, wait) == 1.0


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_a_speed_that_cannot_be_is_refused(wrong: float) -> None:
    for speeds in ((wrong, 400.0), (40.0, wrong)):
        with pytest.raises(InvalidOption, match="speed"):
            Workers(*speeds)


@pytest.mark.parametrize(
    ("start", "wait"), [(math.inf, 1.0), (-1.0, 1.0), (DAY + 1, 1.0), (1.0, -1.0), (1.0, math.nan)]
)
def test_a_start_or_a_wait_that_cannot_be_is_refused(start: float, wait: float) -> None:
    """A worker that never starts would be waited for without an end."""
    with pytest.raises(InvalidOption, match="start"):
        Workers(40.0, 400.0, start, wait)


def test_more_work_than_a_plan_knows_workers_for_is_refused() -> None:
    with pytest.raises(InvalidOption, match="GPUs busy"):
        make_plan(Demand(1_000.0), Workers(0.001, 400.0))
