"""What is still to be done, in seconds of audio, and what a pool has of it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.open_runs.needs import RunFacts
from orchestrator.open_runs.work import StageWork, remaining_work
from orchestrator.scaling.backlog import pool_load, speed_of
from orchestrator.scaling.pools import worker_pools
from tasks.runs.manifest import Plan
from tasks.runs.stages import Stage
from tasks.state.speeds import Speed, SpeedName
from tests.inputs.examples import a_manifest, a_plan, a_run

POOLS = worker_pools({"align": {"stages": ["align"], "share": 0.5}})
GPU, CPU = POOLS["gpu"], POOLS["cpu"]


def facts(
    plan: Plan | None,
    *settled: tuple[Stage, int],
    failed: frozenset[tuple[Stage, int]] = frozenset(),
    **options: Any,
) -> RunFacts:
    return RunFacts(a_manifest(**options), a_run(), plan, {*settled, *failed}, failed)


def by_stage(found: tuple[StageWork, ...]) -> dict[Stage, tuple[float | None, int]]:
    return {work.stage: (work.audio_seconds, work.units) for work in found}


def test_of_a_file_that_nobody_has_heard_only_its_preparation_is_known() -> None:
    work = remaining_work(facts(None))
    assert by_stage(work) == {Stage.PREPARE: (None, 1)}
    assert pool_load(CPU, work, {}, {}, 120.0).backlog_seconds == 120.0


def test_every_open_unit_counts_with_its_own_audio() -> None:
    found = remaining_work(
        facts(a_plan(10, 20, 30), (Stage.TRANSCRIBE, 0), aligner="ctc", language=None)
    )
    assert by_stage(found) == {
        Stage.DETECT_LANGUAGE: (60.0, 1),
        Stage.TRANSCRIBE: (50.0, 2),
        Stage.ALIGN: (60.0, 3),
        Stage.ASSEMBLE: (60.0, 1),
    }
    assert {work.model for work in found} == {"fake"}


def test_shards_are_stretches_of_the_file() -> None:
    found = by_stage(remaining_work(facts(a_plan(10, 20), diarize=True, shard_seconds=20.0)))
    assert found[Stage.EMBED_SPEAKERS] == (30.0, 2)
    assert found[Stage.DIARIZE] == (30.0, 1)


def test_nothing_is_aligned_that_could_not_be_transcribed() -> None:
    given_up = frozenset({(Stage.TRANSCRIBE, 1)})
    found = by_stage(remaining_work(facts(a_plan(10, 20), failed=given_up, aligner="ctc")))
    assert found[Stage.TRANSCRIBE] == found[Stage.ALIGN] == (10.0, 1)


def test_a_finished_run_leaves_nothing() -> None:
    done = ((Stage.TRANSCRIBE, 0), (Stage.ASSEMBLE, 0))
    assert remaining_work(facts(a_plan(10), *done)) == ()


def test_a_pool_has_the_work_of_its_stages() -> None:
    work = remaining_work(facts(a_plan(10, 20), aligner="ctc"))
    load = pool_load(GPU, work, {Stage.TRANSCRIBE: 1}, {})
    assert set(load.stages) == {Stage.TRANSCRIBE, Stage.ALIGN}
    assert load.backlog_seconds == 60.0
    assert (load.in_flight, load.units) == (1, 4)
    assert load.work_seconds == pytest.approx(
        30 / Stage.TRANSCRIBE.definition.first_speed + 30 / Stage.ALIGN.definition.first_speed
    )
    assert set(pool_load(CPU, work, {}, {}).stages) == {Stage.ASSEMBLE}
    assert set(pool_load(POOLS["align"], work, {}, {}).stages) == {Stage.ALIGN}


def test_work_of_two_models_takes_as_long_as_both() -> None:
    speeds = {
        SpeedName("gpu", Stage.TRANSCRIBE, "small"): Speed(100.0, 300.0),
        SpeedName("gpu", Stage.TRANSCRIBE, "large-v3"): Speed(10.0, 300.0),
    }
    work = [
        StageWork(Stage.TRANSCRIBE, "small", 1000.0, 4),
        StageWork(Stage.TRANSCRIBE, "large-v3", 1000.0, 4),
    ]
    load = pool_load(GPU, work, {}, speeds)
    assert load.work_seconds == pytest.approx(10.0 + 100.0)
    assert load.stages[Stage.TRANSCRIBE].units == 8


def test_files_that_are_prepared_now_are_expected_by_those_who_transcribe() -> None:
    work = remaining_work(facts(None))
    assert pool_load(GPU, work, {}, {}).is_expected
    assert not pool_load(CPU, work, {}, {}).is_expected
    assert not pool_load(POOLS["align"], work, {}, {}).is_expected


def test_a_speed_is_the_pools_own_or_of_another_model_or_a_guess() -> None:
    measured = {
        SpeedName("gpu", Stage.TRANSCRIBE, "small"): Speed(100.0, 300.0),
        SpeedName("gpu", Stage.TRANSCRIBE, "large-v3"): Speed(10.0, 300.0),
        SpeedName("mig", Stage.TRANSCRIBE, "medium"): Speed(1.0, 300.0),
    }
    assert speed_of(GPU, Stage.TRANSCRIBE, "small", measured) == 100.0
    assert speed_of(GPU, Stage.TRANSCRIBE, "medium", measured) == 10.0  # the slower of those known
    assert speed_of(GPU, Stage.ALIGN, "small", measured) == Stage.ALIGN.definition.first_speed


def test_work_with_a_ready_by_is_due_in_the_pool_that_does_it() -> None:
    work = remaining_work(facts(a_plan(60, 60)))
    speeds = {SpeedName("gpu", Stage.TRANSCRIBE, "fake"): Speed(10.0, 60.0)}
    load = pool_load(GPU, work, {}, speeds, due=[(6000.0, item) for item in work])
    (due,) = load.due
    assert due.ready_by == 6000.0
    assert due.work_seconds == pytest.approx(load.work_seconds)
    assert pool_load(GPU, work, {}, speeds).due == ()
