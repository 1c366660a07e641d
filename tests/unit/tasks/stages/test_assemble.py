"""The published result: from the artifacts alone, once, and the same every time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpu_worker.errors import ChunkCrashed, UnreadableAudio
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs import keys, vocabulary_keys
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.runs.vocabulary import Vocabulary
from tests.inputs.examples import a_manifest, a_plan, a_unit, write_records
from tests.unit.counted import Counted
from tests.unit.tasks.inline import run_task

UNIT = a_unit(Stage.ASSEMBLE)


@pytest.fixture(autouse=True)
def planned(place: Workplace) -> None:
    """A job of two chunks, 10 s each."""
    write_records(place.store, a_manifest(), a_plan(10, 10))


def write_chunk(
    place: Workplace, index: int, text: str = "", run: int = 1, engine: str | None = None
) -> None:
    start = index * 10.0
    segments = [{"start": start, "end": start + 1, "text": text}] if text else []
    receipt = {"seconds": 2.0, "audio_seconds": 10.0, "detail": {"unit": a_unit(run=run).name}}
    data = {"windows": [{"spans": [], "segments": segments}], "receipt": receipt}
    if engine:
        data["engine"] = engine
    place.store.put(Records(place.store).key(a_unit(index=index)), encode(data))


def give_up(place: Workplace, index: int) -> None:
    error = ChunkCrashed("The worker died 3 times.").to_json()
    place.store.put(keys.failed(a_unit(index=index)), encode(error))


def result(place: Workplace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.store.get(keys.of_run(UNIT.run, keys.RESULT)))
    return found


def test_all_chunks_are_one_transcript(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    write_chunk(place, 1, "two")
    assert run_task(UNIT)["outcome"] == "computed"
    published = result(place)
    assert published["transcript"]["text"] == "one two"
    assert published["transcript"]["duration"] == 20.0
    assert (published["error"], published["missing"], published["canceled"]) == (None, [], False)


def test_equal_artifacts_give_equal_bytes(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    write_chunk(place, 1, "two")
    written = []
    for _ in range(2):
        run_task(UNIT)
        written.append(place.store.get(keys.of_run(UNIT.run, keys.RESULT)))
        place.store.delete(keys.of_run(UNIT.run, keys.RESULT))
    assert written[0] == written[1]


def test_doubtful_lines_are_flagged_listed_and_counted(place: Workplace) -> None:
    write_chunk(place, 0, "so so so so so so")
    write_chunk(place, 1, "two")
    with Counted() as grew:
        run_task(UNIT)
    transcript = result(place)["transcript"]
    doubtful, plain = transcript["segments"]
    assert [flag["code"] for flag in doubtful["flags"]] == ["repetition"]
    assert "flags" not in plain
    [span] = transcript["review"]
    assert (span["segment"], span["codes"]) == (0, ["repetition"])
    assert grew("scriptorium_flags_total", code="repetition") == 1


def test_it_waits_for_a_chunk_that_may_still_come(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    assert run_task(UNIT)["outcome"] == "incomplete"
    assert place.store.size(keys.of_run(UNIT.run, keys.RESULT)) is None


def test_it_waits_for_a_plan(place: Workplace) -> None:
    place.store.delete(keys.plan(UNIT.run.tenant, UNIT.run.job))
    assert run_task(UNIT)["outcome"] == "incomplete"


def test_a_chunk_that_was_given_up_is_a_missing_span(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    give_up(place, 1)
    run_task(UNIT)
    published = result(place)
    (span,) = published["missing"]
    assert (span["start"], span["end"], span["code"]) == (10.0, 20.0, "chunk_crashed")
    assert published["transcript"]["text"] == "one"
    assert published["transcript"]["warnings"][0]["code"] == "missing_span"
    assert published["error"] is None


def test_a_chunk_that_failed_once_but_has_its_artifact_is_not_missing(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    write_chunk(place, 1, "two")
    give_up(place, 1)
    run_task(UNIT)
    assert result(place)["missing"] == []


def test_a_job_without_a_single_chunk_failed(place: Workplace) -> None:
    give_up(place, 0)
    give_up(place, 1)
    run_task(UNIT)
    published = result(place)
    assert published["transcript"] is None
    assert published["error"]["code"] == "chunk_crashed"


def test_a_stage_that_failed_before_the_chunks_fails_the_job(place: Workplace) -> None:
    error = UnreadableAudio().to_json()
    place.store.put(keys.failed(a_unit(Stage.PREPARE)), encode(error))
    run_task(UNIT)
    assert result(place)["error"] == error


def test_silence_is_a_transcript_that_says_so(place: Workplace) -> None:
    write_chunk(place, 0)
    write_chunk(place, 1)
    run_task(UNIT)
    transcript = result(place)["transcript"]
    assert (transcript["text"], transcript["language"]) == ("", None)
    assert transcript["warnings"][0]["code"] == "no_speech"


def split_channels(place: Workplace, job: str) -> None:
    """A call of 10 s in which the second channel also hears the first."""
    plan = a_plan(10).model_copy(
        update={
            "chunks": ((0, 160_000), (0, 160_000)),
            "channels": ("left", "right"),
            "chunk_channels": (0, 1),
        }
    )
    write_records(place.store, a_manifest(job, channels="split"), plan)


def write_channel(place: Workplace, job: str, channel: int, text: str, level: int) -> None:
    words = [
        {"word": word, "start": 1.0 + place, "end": 1.9 + place, "score": 0.9}
        for place, word in enumerate(text.split())
    ]
    segment = {"start": 1.0, "end": words[-1]["end"], "text": text, "words": words}
    window = {"spans": [[0, 160_000]], "segments": [segment], "levels": [[level] * 100]}
    receipt = {"seconds": 2.0, "audio_seconds": 10.0, "detail": {"unit": a_unit(job=job).name}}
    data = {"windows": [window], "receipt": receipt}
    place.store.put(Records(place.store).key(a_unit(index=channel, job=job)), encode(data))


def test_split_channels_are_speakers_and_echoes_are_left_out(place: Workplace) -> None:
    split_channels(place, "call")
    write_channel(place, "call", 0, "hello peter", -20)
    write_channel(place, "call", 1, "hello peter good morning", -32)
    unit = a_unit(Stage.ASSEMBLE, job="call")
    run_task(unit)
    transcript = json.loads(place.store.get(keys.of_run(unit.run, keys.RESULT)))["transcript"]
    found = [(segment["speaker"], segment["text"]) for segment in transcript["segments"]]
    assert found == [("SPEAKER_00", "hello peter"), ("SPEAKER_01", "good morning")]
    assert [turn["speaker"] for turn in transcript["turns"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert transcript["warnings"] == []


def test_a_missing_span_of_a_split_channel_says_which_it_is(place: Workplace) -> None:
    split_channels(place, "call")
    write_channel(place, "call", 0, "hello peter", -20)
    error = ChunkCrashed("The worker died 3 times.").to_json()
    place.store.put(keys.failed(a_unit(index=1, job="call")), encode(error))
    unit = a_unit(Stage.ASSEMBLE, job="call")
    run_task(unit)
    published = json.loads(place.store.get(keys.of_run(unit.run, keys.RESULT)))
    assert published["transcript"]["text"] == "hello peter"
    (span,) = published["missing"]
    assert span["message"] == "In channel 1, counted from 0: The worker died 3 times."


def test_timings_say_what_this_run_computed(place: Workplace) -> None:
    write_chunk(place, 0, "one")
    write_chunk(place, 1, "two", run=7)
    run_task(UNIT)
    timings = json.loads(place.store.get(keys.of_run(UNIT.run, "timings.json")))["transcribe"]
    assert (timings["units"], timings["cached"], timings["seconds"]) == (2, 1, 2.0)


@pytest.mark.parametrize(
    ("engines", "told"),
    [
        (("torch", "torch"), {"torch": 2}),
        (("torch", "faster_whisper"), {"faster_whisper": 1, "torch": 1}),
        ((None, None), {}),  # of a release that did not say it
    ],
)
def test_timings_say_which_engine_transcribed(
    place: Workplace, engines: tuple[str | None, ...], told: dict[str, int]
) -> None:
    """A chunk that an earlier run transcribed counts as well: its text is in this transcript."""
    for index, engine in enumerate(engines):
        write_chunk(place, index, "text", run=index + 1, engine=engine)
    run_task(UNIT)
    timings = json.loads(place.store.get(keys.of_run(UNIT.run, "timings.json")))
    assert timings["transcribe"]["engines"] == told


def test_speech_without_any_text_is_told_from_silence(place: Workplace) -> None:
    write_chunk(place, 0)
    key = Records(place.store).key(a_unit(index=1))
    write_chunk(place, 1)
    data = json.loads(place.store.get(key))
    place.store.delete(key)
    data["windows"] = [{"spans": [[160_000, 184_000]], "segments": []}]
    place.store.put(key, encode(data))
    run_task(UNIT)
    (warning,) = result(place)["transcript"]["warnings"]
    assert warning["code"] == "speech_without_text"
    assert "1.5 s" in warning["message"]


def assembled(
    place: Workplace, text: str, content: Vocabulary | None, **options: Any
) -> dict[str, Any]:
    """The transcript of a job that has a vocabulary, and a copy of it unless that is None."""
    manifest = a_manifest(job="job-v", **{"vocabulary": "legal@1", **options})
    write_records(place.store, manifest, a_plan(10))
    if content is not None:
        copy = vocabulary_keys.copy(manifest.tenant, "job-v", "legal@1")
        place.store.put(copy, encode(content.model_dump(mode="json")))
    unit = a_unit(Stage.ASSEMBLE, job="job-v")
    receipt = {"seconds": 2.0, "audio_seconds": 10.0, "detail": {"unit": unit.name}}
    windows = [{"spans": [], "segments": [{"start": 1.0, "end": 2.0, "text": text}]}]
    chunk = Records(place.store).key(a_unit(index=0, job="job-v"))
    place.store.put(chunk, encode({"windows": windows, "receipt": receipt}))
    assert run_task(unit)["outcome"] == "computed"
    published = json.loads(place.store.get(keys.of_run(unit.run, keys.RESULT)))
    transcript: dict[str, Any] = published["transcript"]
    return transcript


def test_the_text_is_written_as_the_vocabulary_says(place: Workplace) -> None:
    content = Vocabulary(replacements={"pie torch": "PyTorch"}, numbers="digits")
    found = assembled(place, "twenty-five pie torch", content)
    assert found["text"] == "25 PyTorch"
    assert found["segments"][0]["spoken"] == "twenty-five pie torch"


def test_digits_that_were_heard_are_written_in_words_where_the_vocabulary_says_so(
    place: Workplace,
) -> None:
    found = assembled(place, "pie torch 3rd, 25", Vocabulary(numbers="words"))
    assert found["text"] == "pie torch third, twenty-five"
    assert found["segments"][0]["spoken"] == "pie torch 3rd, 25"


def test_without_its_copy_the_text_stays_as_it_was_heard_and_says_so(place: Workplace) -> None:
    found = assembled(place, "pie torch", None)
    assert found["text"] == "pie torch"
    assert [warning["code"] for warning in found["warnings"]] == ["vocabulary_missing"]


@pytest.mark.parametrize(("task", "codes"), [("translate", []), ("transcribe", ["too_fast"])])
def test_a_translation_is_judged_by_the_rules_of_english(
    place: Workplace, task: str, codes: list[str]
) -> None:
    text = "It rained all that day"  # in a second: fast, and too fast for Japanese
    options = {"vocabulary": None, "language": "ja", "task": task}
    (line,) = assembled(place, text, None, **options)["segments"]
    assert [flag["code"] for flag in line.get("flags", ())] == codes
