"""The shape of the canvas: which messages follow which."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.settings import Settings
from tasks.broker import make_app
from tasks.fair_queue import SHARE
from tasks.runs.canvas import assembly, fan_out_canvas, run_canvas, signature
from tasks.runs.deadline import EARLY_WEIGHT, WaitingPlace
from tasks.runs.stages import Lane, Stage
from tasks.runs.units import Unit
from tests.inputs.examples import a_manifest, a_run, a_unit

celery = make_app(Settings())


def a_header(*indexes: int) -> list[tuple[Unit, ...]]:
    return [(a_unit(index=index),) for index in indexes]


def names(canvas: Any) -> list[str]:
    return [task["task"].removeprefix("scriptorium.") for task in canvas.tasks]


@pytest.mark.parametrize(
    ("language", "prepared", "stages"),
    [
        (None, False, ["prepare", "detect_language", "fan_out"]),
        ("en", False, ["prepare", "fan_out"]),
        (None, True, ["detect_language", "fan_out"]),
    ],
)
def test_a_run_begins_with_what_is_not_known_yet(
    language: str | None, prepared: bool, stages: list[str]
) -> None:
    canvas = run_canvas(celery, a_manifest(language=language), a_run(), prepared=prepared)
    assert names(canvas) == stages


def test_a_prepared_run_in_a_given_language_is_only_fanned_out() -> None:
    assert names(run_canvas(celery, a_manifest(), a_run(), prepared=True)) == ["fan_out"]


@pytest.mark.parametrize(("asked", "lane"), [(None, "interactive"), ("bulk", "bulk")])
def test_every_message_of_a_run_goes_to_its_lane(asked: str | None, lane: str) -> None:
    canvas = run_canvas(celery, a_manifest(language=None, lane=asked), a_run())
    assert [task.options["queue"].partition(".")[2] for task in canvas.tasks] == [lane] * 3


def test_the_chunks_fan_in_to_assemble() -> None:
    canvas = fan_out_canvas(celery, a_header(0, 4), [a_unit(Stage.ASSEMBLE)], Lane.BULK)
    header = [task for chunk in canvas.tasks for task in chunk.tasks]
    assert [task.kwargs["index"] for task in header] == [0, 4]
    assert {task.options["queue"] for task in header} == {"transcribe.bulk"}
    (body,) = canvas.body.tasks
    assert body["task"] == Stage.ASSEMBLE.task_name
    assert body.options["queue"] == "assemble.interactive"


def test_chunks_are_aligned_behind_their_transcription_and_speakers_told_apart_behind_all() -> None:
    header = [
        (a_unit(), a_unit(Stage.ALIGN)),
        (a_unit(Stage.EMBED_SPEAKERS),),
        (a_unit(Stage.EMBED_SPEAKERS, 1),),
    ]
    body = [a_unit(Stage.DIARIZE), a_unit(Stage.ASSEMBLE)]
    canvas = fan_out_canvas(celery, header, body, Lane.BULK)
    assert [names(chain) for chain in canvas.tasks] == [
        ["transcribe", "align"],
        ["embed_speakers"],
        ["embed_speakers"],
    ]
    assert names(canvas.body) == ["diarize", "assemble"]
    assert {task.options["queue"] for task in canvas.body.tasks} == {
        "diarize.interactive",
        "assemble.interactive",
    }


def test_without_chunks_only_assemble_is_left() -> None:
    canvas = fan_out_canvas(celery, [], [a_unit(Stage.ASSEMBLE)], Lane.BULK)
    assert names(canvas) == ["assemble"]


def test_a_message_carries_ids_only_and_takes_nothing_from_the_one_before() -> None:
    message = signature(celery, a_unit(index=3, run=2), Lane.INTERACTIVE)
    assert message.kwargs == {"tenant": "default", "job": "job-1", "run": 2, "index": 3}
    assert message.immutable
    assert "index" not in assembly(celery, a_run()).kwargs


def test_ten_hours_of_chunks_are_messages_of_a_few_hundred_bytes() -> None:
    canvas = fan_out_canvas(celery, a_header(*range(120)), [a_unit(Stage.ASSEMBLE)], Lane.BULK)
    assert max(len(json.dumps(task)) for task in canvas.tasks) < 1000


def test_early_units_take_turns_under_a_name_of_their_own_with_a_small_weight() -> None:
    place = WaitingPlace(Lane.BULK, is_early=True)
    early = signature(celery, a_unit(), place, lambda _: 60.0)
    assert early.options["queue"] == "transcribe.bulk"
    assert early.options["headers"] == {SHARE: ["default:early", 60.0 / EARLY_WEIGHT]}
    last = signature(celery, a_unit(Stage.ASSEMBLE), place)
    assert last.options["queue"] == "assemble.interactive"
    assert last.options["headers"] == {SHARE: ["default", 1.0]}
