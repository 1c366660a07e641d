"""What is published when a stage that makes a transcript better was given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpu_worker.diarization import Diarization
from gpu_worker.errors import ChunkCrashed, ScriptoriumError, UnknownModel
from gpu_worker.transcript import TranscriptWarning, Turn, warning_to_json
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.stages.findings import FindingsReader
from tests.inputs.examples import a_manifest, a_plan, a_unit, write_records
from tests.unit.tasks.inline import run_task

UNIT = a_unit(Stage.ASSEMBLE)
MANIFEST = a_manifest(aligner="ctc", diarize=True, shard_seconds=16)


@pytest.fixture(autouse=True)
def planned(place: Workplace) -> None:
    """A job of two chunks and two shards, all of it done."""
    begin(place, MANIFEST)


def begin(place: Workplace, manifest: Manifest) -> None:
    write_records(place.store, manifest, a_plan(10, 10))
    for index in range(2):
        write(place, a_unit(index=index, job=manifest.job), words(index, "heard"))


def words(index: int, text: str) -> dict[str, Any]:
    start = index * 10.0
    word = {"word": text, "start": start, "end": start + 1, "score": 0.5}
    segment = {"start": start, "end": start + 1, "text": text, "words": [word]}
    return {"windows": [{"spans": [], "segments": [segment]}]}


def write(place: Workplace, unit: Any, data: dict[str, Any]) -> None:
    receipt = {"seconds": 2.0, "audio_seconds": 10.0, "detail": {"unit": unit.name}}
    place.store.put(Records(place.store).key(unit), encode(data | {"receipt": receipt}))


def align(place: Workplace, *indexes: int) -> None:
    for index in indexes:
        write(place, a_unit(Stage.ALIGN, index), words(index, "aligned"))


def diarize(place: Workplace) -> None:
    turns = (Turn(0.0, 5.0, "SPEAKER_00"), Turn(9.0, 20.0, "SPEAKER_01"))
    write(place, a_unit(Stage.DIARIZE), Diarization(turns, turns).to_json())


def give_up(place: Workplace, stage: Stage, index: int, error: ScriptoriumError) -> None:
    place.store.put(keys.failed(a_unit(stage, index)), encode(error.to_json()))


def published(place: Workplace, job: str = "job-1") -> dict[str, Any]:
    unit = a_unit(Stage.ASSEMBLE, job=job)
    assert run_task(unit)["outcome"] == "computed"
    result = json.loads(place.store.get(keys.of_run(unit.run, keys.RESULT)))
    assert result["error"] is None
    transcript: dict[str, Any] = result["transcript"]
    return transcript


def test_aligned_words_have_speakers(place: Workplace) -> None:
    align(place, 0, 1)
    diarize(place)
    transcript = published(place)
    assert [(word["word"], word["speaker"]) for word in transcript["word_segments"]] == [
        ("aligned", "SPEAKER_00"),
        ("aligned", "SPEAKER_01"),
    ]
    assert [turn["speaker"] for turn in transcript["turns"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert transcript["warnings"] == []


def test_it_waits_for_words_and_speakers_that_may_still_come(place: Workplace) -> None:
    diarize(place)
    align(place, 0)
    assert run_task(UNIT)["outcome"] == "incomplete"
    align(place, 1)
    place.store.delete(Records(place.store).key(a_unit(Stage.DIARIZE)))
    assert run_task(UNIT)["outcome"] == "incomplete"


def test_a_chunk_that_was_not_aligned_keeps_the_words_it_has(place: Workplace) -> None:
    align(place, 0)
    diarize(place)
    give_up(place, Stage.ALIGN, 1, ChunkCrashed("The worker died 3 times."))
    transcript = published(place)
    assert transcript["text"] == "aligned heard"
    (warning,) = transcript["warnings"]
    assert warning["code"] == "words_not_aligned"
    assert warning["message"].startswith("In 1 of 2 chunks")
    assert "chunk_crashed" in warning["message"]


def test_chunks_that_failed_for_one_reason_are_one_warning(place: Workplace) -> None:
    diarize(place)
    for index in range(2):
        give_up(place, Stage.ALIGN, index, UnknownModel("There is none."))
    (warning,) = published(place)["warnings"]
    assert warning["message"].startswith("In 2 of 2 chunks")


@pytest.mark.parametrize("stage", [Stage.EMBED_SPEAKERS, Stage.DIARIZE])
def test_a_transcript_is_published_without_speakers(place: Workplace, stage: Stage) -> None:
    align(place, 0, 1)
    give_up(place, stage, 0, UnknownModel("There is none."))
    if stage is Stage.EMBED_SPEAKERS:
        assert run_task(UNIT)["outcome"] == "incomplete"  # until the fan-in gives up too
        give_up(place, Stage.DIARIZE, 0, ChunkCrashed("Something else."))
    transcript = published(place)
    (warning,) = transcript["warnings"]
    assert warning["code"] == "speakers_missing" and "There is none." in warning["message"]
    assert "speaker" not in transcript["word_segments"][0] and transcript["turns"] == []


def test_a_known_speakers_clip_of_no_use_is_a_warning(place: Workplace) -> None:
    align(place, 0, 1)
    turns = (Turn(0.0, 20.0, "SPEAKER_00"),)
    warning = {"code": "known_speaker_unusable", "message": "Anna cannot be recognised: so."}
    write(
        place,
        a_unit(Stage.DIARIZE),
        Diarization(turns, turns).to_json() | {"warnings": [warning]},
    )
    assert published(place)["warnings"] == [warning]


def test_words_that_nobody_asked_for_are_left_out(place: Workplace) -> None:
    begin(place, a_manifest("bare", aligner="none"))
    transcript = published(place, "bare")
    assert transcript["text"] == "heard heard"
    assert transcript["word_segments"] == [] and transcript["segments"][0]["words"] == []


def test_timings_name_every_stage_that_was_done(place: Workplace) -> None:
    align(place, 0, 1)
    diarize(place)
    published(place)
    timings = json.loads(place.store.get(keys.of_run(UNIT.run, "timings.json")))
    assert timings["align"]["units"] == 2 and timings["diarize"]["seconds"] == 2.0


def test_a_translation_by_a_model_that_cannot_translate_is_a_warning(place: Workplace) -> None:
    begin(place, a_manifest("turbo", model="turbo", task="translate", aligner="ctc"))
    (warning,) = published(place, "turbo")["warnings"]
    assert warning["code"] == "translation_unsupported" and "'turbo'" in warning["message"]
    begin(place, a_manifest("large", model="large-v3", task="translate", aligner="ctc"))
    assert published(place, "large")["warnings"] == []


def test_what_chunks_warn_of_is_published_each_once(place: Workplace) -> None:
    shared = TranscriptWarning("prompt_cut", "The prompt was cut.")
    own = [
        TranscriptWarning("speech_without_words", "Speech.", start, start + 3.0)
        for start in (2.0, 14.0)
    ]
    for index in range(2):
        warnings = [warning_to_json(shared), warning_to_json(own[index])]
        write(place, a_unit(Stage.ALIGN, index), words(index, "aligned") | {"warnings": warnings})
    diarize(place)
    found = FindingsReader(place.store, place.records, UNIT.run, {}).read()
    assert found is not None
    assert found.warnings == (shared, *own)
