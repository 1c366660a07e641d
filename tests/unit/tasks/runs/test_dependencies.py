"""Which units a run has, from its options and plan."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.runs.dependencies import (
    chunk_stages,
    downstream,
    fan_in,
    header_chains,
    needs_detection,
    open_units,
)
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tests.inputs.examples import a_plan, a_run, a_unit

RUN = a_run()
BOTH = JobOptions(diarize=True, shard_seconds=16)


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({}, ["transcribe", "align"]),
        ({"aligner": "whisperx"}, ["transcribe", "align"]),
        ({"aligner": "cross_attention"}, ["transcribe"]),
        ({"aligner": "none"}, ["transcribe"]),
        ({"word_timestamps": False}, ["transcribe"]),
        ({"task": "translate"}, ["transcribe"]),
    ],
)
def test_a_chunk_is_aligned_only_if_a_second_model_can_time_its_words(
    options: dict[str, Any], stages: list[str]
) -> None:
    assert [stage.value for stage in chunk_stages(JobOptions(**options))] == stages


@pytest.mark.parametrize(
    ("options", "is_needed"),
    [
        ({}, True),
        ({"language": "en"}, False),
        ({"languages": ("de", "en")}, False),
        ({"languages": "any"}, False),
    ],
)
def test_one_language_is_detected_only_where_none_is_given(
    options: dict[str, Any], is_needed: bool
) -> None:
    given = JobOptions(model="pico", **options)
    assert needs_detection(given) is is_needed


def test_every_chunk_has_a_chain_and_every_shard_a_unit() -> None:
    chains = header_chains(RUN, BOTH, a_plan(10, 10, 10))
    assert [[unit.key_in_run for unit in chain] for chain in chains] == [
        *([f"transcribe/{index}", f"align/{index}"] for index in range(3)),
        ["embed_speakers/0"],
        ["embed_speakers/1"],
    ]


def test_speakers_are_told_apart_only_if_there_is_somebody_to_hear() -> None:
    assert [unit.key_in_run for unit in fan_in(RUN, BOTH, a_plan(10))] == [
        "diarize/0",
        "assemble/0",
    ]
    assert [unit.key_in_run for unit in fan_in(RUN, JobOptions(), a_plan(10))] == ["assemble/0"]
    empty = a_plan(0)
    assert [unit.key_in_run for unit in fan_in(RUN, BOTH, empty)] == ["assemble/0"]


@pytest.mark.parametrize(
    ("unit", "behind"),
    [
        (a_unit(index=1), ["transcribe/1", "align/1"]),
        (a_unit(Stage.ALIGN, 1), ["align/1"]),
        (a_unit(Stage.EMBED_SPEAKERS), ["embed_speakers/0"]),
        (a_unit(Stage.DIARIZE), ["diarize/0", "assemble/0"]),
        (a_unit(Stage.ASSEMBLE), ["assemble/0"]),
        (a_unit(Stage.FAN_OUT), ["fan_out/0"]),
    ],
)
def test_what_follows_on_one_unit_alone(unit: Any, behind: list[str]) -> None:
    assert [each.key_in_run for each in downstream(unit, BOTH, a_plan(10, 10))] == behind


@pytest.mark.parametrize(
    ("settled", "failed", "still_open"),
    [
        ([], [], ["transcribe/1", "align/1"]),
        ([Stage.TRANSCRIBE], [], ["align/1"]),
        ([Stage.TRANSCRIBE], [Stage.TRANSCRIBE], []),
        ([Stage.TRANSCRIBE, Stage.ALIGN], [Stage.ALIGN], []),
        ([Stage.ALIGN], [Stage.ALIGN], ["transcribe/1"]),
    ],
)
def test_what_was_not_transcribed_is_never_aligned(
    settled: list[Stage], failed: list[Stage], still_open: list[str]
) -> None:
    chain = header_chains(RUN, JobOptions(), a_plan(10, 10))[1]
    found = open_units(chain, {(it, 1) for it in settled}, {(it, 1) for it in failed})
    assert [unit.key_in_run for unit in found] == still_open


def test_speakers_that_were_not_told_apart_keep_no_transcript_back() -> None:
    chain, diarized = fan_in(RUN, BOTH, a_plan(10)), {(Stage.DIARIZE, 0)}
    assert open_units(chain, diarized, diarized) == (a_unit(Stage.ASSEMBLE),)
