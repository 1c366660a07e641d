"""Stages name their queues, pools and tasks."""

from __future__ import annotations

import pytest

from tasks.runs.stages import Lane, Pool, Stage, queues, queues_of
from tasks.runs.units import Run


def test_each_stage_has_a_queue_in_each_lane() -> None:
    assert len(set(queues())) == len(Stage) * len(Lane)


def test_each_queue_is_read_by_exactly_one_pool() -> None:
    assert sorted(queues()) == sorted([*queues(Pool.CPU), *queues(Pool.GPU)])


def test_interactive_lanes_come_first() -> None:
    lanes = [name.partition(".")[2] for name in queues(Pool.GPU)]
    assert lanes == sorted(lanes, key=[str(lane) for lane in Lane].index)


def test_the_queues_of_some_stages_are_a_part_of_their_pool_s() -> None:
    some = queues_of([Stage.ALIGN, Stage.TRANSCRIBE])
    assert some == ("transcribe.interactive", "align.interactive", "transcribe.bulk", "align.bulk")
    assert queues_of([]) == ()


@pytest.mark.parametrize(
    "stage", [Stage.TRANSCRIBE, Stage.DETECT_LANGUAGE, Stage.ALIGN, Stage.EMBED_SPEAKERS]
)
def test_what_needs_a_model_needs_a_gpu_worker(stage: Stage) -> None:
    assert stage.pool is Pool.GPU
    assert stage.task_name == f"scriptorium.{stage.value}"


def test_a_unit_has_one_name_in_the_cluster_and_one_in_its_run() -> None:
    unit = Run("t", "job", 2).unit(Stage.TRANSCRIBE, 7)
    assert unit.name == "t/job/2/transcribe/7"
    assert unit.key_in_run == "transcribe/7"
