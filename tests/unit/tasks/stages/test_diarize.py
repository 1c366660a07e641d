"""Shards are embedded apart and told apart together."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_worker.audio.decoding import decode
from gpu_worker.diarization import Diarization
from gpu_worker.diarization.fake import FakeDiarizer
from gpu_worker.errors import ModelUnavailable, StoreRefused
from gpu_worker.pcm import Span
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.records import Records, failures
from tasks.runs.stages import Stage
from tasks.stages import diarize as module
from tests.inputs.examples import TENANT, a_manifest, a_unit, write_records
from tests.inputs.speech import recording, write_wav
from tests.unit.tasks.inline import run_task

RATE = 16_000
UNIT = a_unit(Stage.DIARIZE)


@pytest.fixture(autouse=True)
def plan(place: Workplace) -> Plan:
    """Three shards of speech in the store."""
    samples = recording(40)[0][: 40 * RATE]
    found = Plan(audio="ab", seconds=len(samples) / RATE, chunks=(Span(0, len(samples)),))
    write_records(place.store, a_manifest(diarize=True, shard_seconds=16), found)
    place.store.put(keys.pcm(TENANT, "ab"), (samples * 32767).astype("<i2").tobytes())
    return found


def diarization(place: Workplace, job: str = "job-1") -> Diarization:
    artifact = place.store.get(Records(place.store).key(a_unit(Stage.DIARIZE, job=job)))
    return Diarization.from_json(json.loads(artifact))


def embed(job: str = "job-1", shards: int = 3) -> list[str]:
    units = [a_unit(Stage.EMBED_SPEAKERS, index, job=job) for index in range(shards)]
    return [run_task(unit)["outcome"] for unit in units]


def test_shards_become_turns_of_the_whole_file(place: Workplace, plan: Plan) -> None:
    assert embed() == ["computed"] * 3
    assert run_task(UNIT)["outcome"] == "computed"
    turns = diarization(place).turns
    assert {turn.speaker for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert turns[-1].end > 32.0 and turns[-1].end <= plan.seconds


def test_the_length_of_the_shards_does_not_show(place: Workplace, plan: Plan) -> None:
    write_records(place.store, a_manifest("whole", diarize=True, shard_seconds=64), plan)
    embed()
    run_task(UNIT)
    embed("whole", 1)
    run_task(a_unit(Stage.DIARIZE, job="whole"))
    assert diarization(place) == diarization(place, "whole")


def test_a_shard_says_what_it_took_beside_its_artifact(place: Workplace) -> None:
    embed()
    key = Records(place.store).key(a_unit(Stage.EMBED_SPEAKERS, 2))
    receipt = json.loads(place.store.get(keys.receipt(key)))
    assert receipt["outcome"] == "computed"
    assert receipt["audio_seconds"] == pytest.approx(8.0, abs=0.1)


def test_it_waits_for_a_shard_that_may_still_come(place: Workplace) -> None:
    run_task(a_unit(Stage.EMBED_SPEAKERS, 0))
    assert run_task(UNIT)["outcome"] == "incomplete"


def test_without_a_shard_that_was_given_up_nobody_is_told_apart(place: Workplace) -> None:
    embed(shards=2)
    error = ModelUnavailable("The hub is away.").to_json()
    place.store.put(keys.failed(a_unit(Stage.EMBED_SPEAKERS, 2)), encode(error))
    assert run_task(UNIT)["outcome"] == "failed"
    failure = failures(place.store, UNIT.run)[Stage.DIARIZE, 0]
    assert failure["code"] == "shard_failed"
    assert failure["message"] == "Shard 2 failed (model_unavailable): The hub is away."


def test_other_bounds_are_told_apart_from_the_same_shards(place: Workplace, plan: Plan) -> None:
    embed()
    run_task(UNIT)
    fewer = a_manifest("fewer", diarize=True, shard_seconds=16, max_speakers=1)
    write_records(place.store, fewer, plan)
    assert embed("fewer") == ["cached"] * 3
    assert run_task(a_unit(Stage.DIARIZE, job="fewer"))["outcome"] == "computed"
    assert {turn.speaker for turn in diarization(place, "fewer").turns} == {"SPEAKER_00"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_speakers": 90}, "90 speakers were asked for, 2 found"),
        ({"min_speakers": 3}, "At least 3 speakers were asked for, 2 found"),
        ({"num_speakers": 2}, None),
        ({"min_speakers": 1, "max_speakers": 9}, None),
    ],
)
def test_fewer_speakers_than_were_asked_for_are_told(
    place: Workplace, plan: Plan, options: dict[str, Any], message: str | None
) -> None:
    write_records(place.store, a_manifest("asked", diarize=True, shard_seconds=16, **options), plan)
    embed("asked")
    run_task(a_unit(Stage.DIARIZE, job="asked"))
    key = Records(place.store).key(a_unit(Stage.DIARIZE, job="asked"))
    warned = json.loads(place.store.get(key))["warnings"]
    assert [warning["code"] for warning in warned] == (["fewer_speakers"] if message else [])
    assert message is None or warned[0]["message"].startswith(message)


@pytest.mark.slow
def test_a_known_speaker_is_called_by_name(
    place: Workplace, plan: Plan, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = tmp_path_factory.mktemp("clips") / "anna.wav"
    write_wav(clip, recording(4)[0])
    silent = write_wav(clip.with_name("silent.wav"), recording(4)[0] * 0)
    broken = clip.with_name("broken.wav")
    broken.write_bytes(b"no sound")
    known = [{"name": "gone", "clip": "9" * 64}]
    for number, path in enumerate((clip, silent, broken)):
        place.store.put_file(keys.source(TENANT, str(number) * 64), path)
        known.append({"name": path.stem, "clip": str(number) * 64})
    manifest = a_manifest("known", shard_seconds=16, known_speakers=known)
    write_records(place.store, manifest, plan)
    embed("known")
    run_task(a_unit(Stage.DIARIZE, job="known"))
    speakers = {turn.speaker for turn in diarization(place, "known").turns}
    assert speakers == {"anna", "SPEAKER_00"}
    key = Records(place.store).key(a_unit(Stage.DIARIZE, job="known"))
    warned = json.loads(place.store.get(key))["warnings"]
    assert [warning["code"] for warning in warned] == ["known_speaker_unusable"] * 3
    assert [warning["message"].split()[0] for warning in warned] == ["gone", "silent", "broken"]


def test_a_store_that_refuses_says_nothing_of_a_known_speaker_s_clip(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StoreRefused("Access was denied.")

    for request in ("size", "fetch"):
        monkeypatch.setattr(type(place.store), request, refuse)
    options = a_manifest("known", known_speakers=[{"name": "Anna", "clip": "1" * 64}]).options
    with pytest.raises(StoreRefused):
        module._known(place, TENANT, options, FakeDiarizer())


def test_of_a_known_speaker_s_clip_no_more_is_decoded_than_is_used(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def measured(source: Path, destination: Path, **options: Any) -> Any:
        audio = decode(source, destination, **options)
        decoded.append(destination.stat().st_size)
        return audio

    monkeypatch.setattr(module, "decode", measured)
    monkeypatch.setattr(module, "CLIP_SECONDS", 1.0)
    key = keys.source(TENANT, "1" * 64)
    place.store.put_file(key, write_wav(tmp_path / "long.wav", recording(40)[0]))
    assert len(module._clip(place, key, time.monotonic() + 60)) == RATE
    assert decoded == [2 * RATE]


def test_clips_that_take_too_long_or_are_too_large_are_unusable(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "a.wav", recording(4)[0])
    place.store.put_file(keys.source(TENANT, "1" * 64), path)
    options = a_manifest("known", known_speakers=[{"name": "Anna", "clip": "1" * 64}]).options
    small = replace(place, settings=place.settings.model_copy(update={"max_source_bytes": 100}))
    _, (warning,) = module._known(small, TENANT, options, FakeDiarizer())
    assert warning["code"] == "known_speaker_unusable" and "more than" in warning["message"]
    monkeypatch.setattr(module, "ALL_CLIPS_SECONDS", 0.0)
    _, (warning,) = module._known(place, TENANT, options, FakeDiarizer())
    assert "take more than 0 seconds" in warning["message"]
