"""Records survive their JSON, and a plan says how the work is cut."""

from __future__ import annotations

import pytest

from gpu_worker.transcript import TranscriptWarning
from tasks.runs.manifest import INTERACTIVE_SECONDS, Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane
from tests.inputs.examples import a_manifest, a_plan


def test_a_manifest_survives_its_json() -> None:
    manifest = a_manifest(beam_size=3, suppress_tokens=(1, 2), lane="bulk")
    assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_what_is_unset_is_not_written_so_that_older_workers_can_read_it() -> None:
    usual = a_manifest().model_dump(mode="json")
    assert not usual.keys() & {"traceparent", "trial"}
    assert not usual["options"].keys() & {"audio_track", "channel", "align_model", "num_speakers"}
    assert None not in usual["options"].values()
    chosen = a_manifest(audio_track=0, temperature_increment_on_fallback=None)
    written = chosen.model_dump(mode="json")["options"]
    assert (written["audio_track"], written["temperature_increment_on_fallback"]) == (0, None)
    assert Manifest.model_validate(chosen.model_dump(mode="json")) == chosen


def test_the_side_of_a_trial_is_read_from_old_and_new_records_and_by_an_older_release() -> None:
    tried = a_manifest().model_copy(update={"trial": "variant"})
    written = tried.model_dump(mode="json")
    assert Manifest.of_artifact(written) == tried
    assert Manifest.of_artifact(a_manifest().model_dump(mode="json")).trial is None
    of_tomorrow = written | {"field_of_tomorrow": 1}  # to it `trial` is such a field
    assert Manifest.of_artifact(of_tomorrow) == tried


def test_a_plan_survives_its_json() -> None:
    plan = a_plan(10, 5).model_copy(
        update={"warnings": (TranscriptWarning("code", "It is so.", 1.0, 2.0),)}
    )
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


@pytest.mark.parametrize(("seconds", "lengths"), [(0, []), (5, [5]), (16, [16]), (40, [16, 16, 8])])
def test_shards_tile_the_file(seconds: float, lengths: list[float]) -> None:
    plan, options = a_plan(seconds), JobOptions(diarize=True, shard_seconds=16)
    count = plan.shards(options)
    assert [plan.shard_seconds(index, options) for index in range(count)] == lengths
    assert plan.shards(JobOptions(shard_seconds=16)) == 0


def test_a_chunk_of_a_split_channel_is_a_span_of_that_channels_audio() -> None:
    plan = a_plan(10, 10).model_copy(
        update={"channels": ("left", "right"), "chunk_channels": (0, 1)}
    )
    assert [plan.chunk_audio(index) for index in (0, 1)] == ["left", "right"]
    assert a_plan(10).chunk_audio(0) == "ab"


def test_the_language_of_split_channels_is_not_that_of_the_first_alone() -> None:
    one, other = (a_plan(10).model_copy(update={"channels": ("ab", name)}) for name in ("cd", "ef"))
    same = a_plan(10).model_copy(update={"channels": ("ab", "ab")})
    assert len({one.heard, other.heard, "ab"}) == 3
    assert same.heard == a_plan(10).heard == "ab"


def test_the_lane_is_by_the_work_of_all_channels() -> None:
    plan = a_plan(INTERACTIVE_SECONDS / 2)
    split = plan.model_copy(update={"chunks": plan.chunks * 3, "chunk_channels": (0, 1, 2)})
    assert plan.lane(JobOptions()) is Lane.INTERACTIVE
    assert split.lane(JobOptions()) is Lane.BULK
