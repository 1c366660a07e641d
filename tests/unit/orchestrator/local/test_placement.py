"""Which stages run on which GPU, and which GPUs there are."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.local.placement import stages_by_gpu, usable_gpus
from tasks.runs.stages import Pool, Stage
from tests.unit.gpu_worker.devices.test_nvml import FULL, MIG, NVMLError, library

GPU_STAGES = {stage for stage in Stage if stage.pool is Pool.GPU}
TRANSCRIBE = {Stage.TRANSCRIBE}
ALIGN = {Stage.ALIGN, Stage.DETECT_LANGUAGE}
EMBED = {Stage.EMBED_SPEAKERS}


def test_one_gpu_does_every_stage() -> None:
    assert stages_by_gpu([3], {}) == {3: GPU_STAGES}
    assert stages_by_gpu([], {}) == {}


def test_of_two_one_transcribes_and_the_other_does_the_rest() -> None:
    assert stages_by_gpu([0, 2], {}) == {0: TRANSCRIBE, 2: ALIGN | EMBED}


def test_of_three_each_has_its_own() -> None:
    assert stages_by_gpu([0, 1, 2], {}) == {0: TRANSCRIBE, 1: ALIGN, 2: EMBED}


@pytest.mark.parametrize(
    ("work", "rest"),
    [
        ({}, [TRANSCRIBE, ALIGN]),
        ({Stage.ALIGN: 10.0, Stage.TRANSCRIBE: 1.0}, [ALIGN, ALIGN]),
        ({Stage.TRANSCRIBE: 50.0, Stage.EMBED_SPEAKERS: 40.0}, [TRANSCRIBE, EMBED]),
        ({Stage.DETECT_LANGUAGE: 1.0}, [ALIGN, ALIGN]),
    ],
)
def test_more_go_to_the_stage_with_the_most_work_for_each_of_its_gpus(
    work: dict[Stage, float], rest: list[set[Stage]]
) -> None:
    placed = stages_by_gpu(range(5), work)
    assert [placed[3], placed[4]] == rest or (not work and placed[3] == TRANSCRIBE)


@given(
    gpus=st.lists(st.integers(0, 15), unique=True, min_size=1),
    work=st.dictionaries(st.sampled_from(sorted(GPU_STAGES)), st.floats(0, 1e6)),
)
def test_no_stage_is_without_a_gpu_and_no_gpu_without_a_stage(
    gpus: list[int], work: dict[Stage, float]
) -> None:
    placed = stages_by_gpu(gpus, work)
    assert list(placed) == gpus and all(placed.values())
    assert set().union(*placed.values()) == GPU_STAGES


def test_the_stages_of_a_gpu_that_is_lost_move() -> None:
    assert stages_by_gpu([0, 1, 2], {})[0] == TRANSCRIBE
    without = stages_by_gpu([1, 2], {})
    assert without[1] == TRANSCRIBE
    assert stages_by_gpu([2], {}) == {2: GPU_STAGES}


def test_a_gpu_that_does_not_answer_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    without_memory = {"Name": FULL["Name"]}
    found = library(FULL, NVMLError("GPU is lost"), MIG, without_memory)
    monkeypatch.setitem(sys.modules, "pynvml", found)
    assert usable_gpus() == (0, 2)


def test_gpus_are_looked_for_without_a_driver_too() -> None:
    assert all(index >= 0 for index in usable_gpus())
