"""How many workers may run on a machine, and where."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.local.fleet_plan import FleetPlan, plan_fleet, slots, with_limits
from orchestrator.local.placement import Placement
from orchestrator.scaling.pools import worker_pools
from tasks.runs.stages import Pool, Stage

POOL = worker_pools({"gpu": {"concurrency": 2}})["gpu"]


def plan(gpus: tuple[int, ...] = (), **options: Any) -> FleetPlan:
    return plan_fleet("x", gpus, Settings(), **options)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"workers": 3}, (3, 3)),
        ({"min_workers": 1, "max_workers": 4}, (1, 4)),
        ({"min_workers": 0, "max_workers": 4}, (0, 4)),
        ({"max_workers": 4}, (1, 4)),
        ({"min_workers": 9}, (9, 9)),
    ],
)
def test_the_number_is_fixed_or_follows_the_load(
    options: dict[str, int], limits: tuple[int, int]
) -> None:
    made = plan((), **options)
    assert (made.minimum, made.maximum) == limits


def test_without_numbers_there_is_one_on_each_gpu() -> None:
    assert plan((0, 1, 2)).maximum == plan((0, 1, 2)).minimum == 3
    assert 1 <= plan().maximum <= 2
    assert plan((0, 1, 2), min_workers=1).maximum == 3


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 2, "max_workers": 4},
        {"min_workers": 5, "max_workers": 4},
        {"placement": Placement.BY_STAGE},
        {"placement": Placement.BY_STAGE, "gpus": (0, 1), "max_workers": 2},
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        plan(**options)


def test_a_full_fleet_shares_the_cores() -> None:
    assert plan(max_workers=64).threads == 1
    assert plan_fleet("x", (), Settings(cpu_threads=3), workers=9).threads == 3


def test_the_reconciler_recommends_within_the_limits() -> None:
    values = Settings(pools={"gpu": {"scale_down_seconds": 5.0}, "mig": {}})
    limited = with_limits(values, plan(min_workers=1, max_workers=4))
    pool = worker_pools(limited.pools)["gpu"]
    assert (pool.minimum, pool.maximum, pool.scale_down_seconds) == (1, 4, 5.0)
    assert "mig" in limited.pools
    assert with_limits(values, plan(workers=4)) is values


def test_workers_are_spread_over_the_gpus() -> None:
    made = slots(plan((0, 2), max_workers=3), POOL, (0, 2), {})
    assert [(spec.name, spec.gpu) for spec in made] == [
        ("gpu0@x", 0), ("gpu1@x", 2), ("gpu2@x", 0),
    ]  # fmt: skip
    assert {(spec.kind, spec.pool, spec.concurrency) for spec in made} == {(Pool.GPU, "gpu", 2)}
    assert [spec.gpu for spec in slots(plan(max_workers=3), POOL, (), {})] == [None] * 3


def test_a_gpu_that_is_lost_takes_its_slots_with_it_and_no_other_moves() -> None:
    made = plan((0, 1), max_workers=4)
    before, after = slots(made, POOL, (0, 1), {}), slots(made, POOL, (1,), {})
    assert after == tuple(spec for spec in before if spec.gpu == 1)


def test_by_stage_each_gpu_has_a_worker_with_its_stages() -> None:
    made = plan((0, 1), placement=Placement.BY_STAGE)
    first, second = slots(made, POOL, (0, 1), {})
    assert (first.name, first.gpu, first.stages) == ("gpu0@x", 0, frozenset({Stage.TRANSCRIBE}))
    assert second.stages == {Stage.ALIGN, Stage.DETECT_LANGUAGE, Stage.EMBED_SPEAKERS}
    (left,) = slots(made, POOL, (1,), {})
    assert left.name == second.name and left.stages == POOL.work


def test_by_stage_a_pool_does_no_stage_that_is_not_its_own() -> None:
    pool = worker_pools({"gpu": {"stages": ["align", "transcribe"]}})["gpu"]
    made = plan((0, 1, 2), placement=Placement.BY_STAGE)
    assert [spec.stages for spec in slots(made, pool, (0, 1, 2), {})] == [
        {Stage.TRANSCRIBE}, {Stage.ALIGN}, pool.stages,
    ]  # fmt: skip
