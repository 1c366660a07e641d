"""Options are checked when a job is submitted, and records survive their JSON."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_worker.engines import DecodeOptions
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Notice
from tasks.manifest import INTERACTIVE_SECONDS, JobOptions, Manifest, Plan, job_options
from tasks.stages import Lane
from tests.unit.examples import a_manifest, a_plan


def test_defaults_are_those_of_the_engine() -> None:
    assert JobOptions().decode_options(None) == DecodeOptions()


@pytest.mark.parametrize(
    ("name", "low", "high", "outside"),
    [
        ("chunk_seconds", 5, 600, [4.9, 600.1]),
        ("batch_size", 1, 512, [0, 513, 1.5]),
        ("beam_size", 1, 20, [0, 21]),
        ("best_of", 1, 20, [0, 21]),
        ("temperature", 0, 1, [-0.1, 1.1]),
        ("temperature_increment_on_fallback", 0.1, 1, [0, 1.1]),
        ("max_new_tokens", 1, 448, [0, 449]),
        ("channel", 0, 15, [-1, 16]),
        ("vad_threshold", 0.01, 0.99, [0, 1]),
        ("patience", 0.1, 9, [0, -1]),
        ("repetition_penalty", 0.1, 9, [0]),
        ("no_repeat_ngram_size", 0, 9, [-1]),
    ],
)
def test_a_number_has_bounds(name: str, low: float, high: float, outside: list[float]) -> None:
    for value in (low, high):
        assert getattr(job_options({name: value}), name) == value
    for value in outside:
        with pytest.raises(InvalidOption, match=name):
            job_options({name: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "-inf"])
@pytest.mark.parametrize("name", ["length_penalty", "patience", "logprob_threshold"])
def test_a_number_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=name):
        job_options({name: value})


@pytest.mark.parametrize(
    "values",
    [
        {"no_such_option": 1},
        {"language": "EN!"},
        {"task": "sing"},
        {"compute_type": "float99"},
        {"lane": "fast"},
        {"initial_prompt": "x" * 2001},
        {"suppress_tokens": ["x"]},
        {"model": None},
        {"word_timestamps": "perhaps"},
    ],
    ids=str,
)
def test_other_values_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(values))):
        job_options(values)


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(InvalidOption) as caught:
        job_options({"beam_size": 0, "batch_size": 0})
    assert "beam_size" in caught.value.message and "batch_size" in caught.value.message


@pytest.mark.parametrize(
    ("first", "step", "temperatures"),
    [
        (0.0, 0.2, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.0, None, (0.0,)),
        (0.5, 0.2, (0.5, 0.7, 0.9)),
        (0.0, 0.3, (0.0, 0.3, 0.6, 0.9)),
        (1.0, 0.2, (1.0,)),
        (0.0, 1.0, (0.0, 1.0)),
    ],
)
def test_temperatures_go_up_in_steps_to_one(
    first: float, step: float | None, temperatures: tuple[float, ...]
) -> None:
    options = JobOptions(temperature=first, temperature_increment_on_fallback=step)
    assert options.temperatures == pytest.approx(temperatures)


def test_the_speech_detection_is_told_its_threshold() -> None:
    assert JobOptions(vad_threshold=0.3).vad_options().threshold == 0.3


def test_a_manifest_survives_its_json() -> None:
    manifest = a_manifest(beam_size=3, suppress_tokens=(1, 2), lane="bulk")
    assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_plan_survives_its_json() -> None:
    plan = a_plan(10, 5).model_copy(update={"warnings": (Notice("code", "It is so.", 1.0, 2.0),)})
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan
    assert [plan.chunk_seconds(index) for index in (0, 1)] == [10, 5]


@pytest.mark.parametrize(
    ("seconds", "asked", "lane"),
    [
        (INTERACTIVE_SECONDS, None, Lane.INTERACTIVE),
        (INTERACTIVE_SECONDS + 1, None, Lane.BULK),
        (INTERACTIVE_SECONDS + 1, Lane.INTERACTIVE, Lane.INTERACTIVE),
        (1, Lane.BULK, Lane.BULK),
    ],
)
def test_long_files_are_bulk_unless_asked_otherwise(
    seconds: float, asked: Lane | None, lane: Lane
) -> None:
    assert a_plan(seconds).lane(JobOptions(lane=asked)) is lane
