"""One chunk's words get their times, or the chunk goes on without."""

from __future__ import annotations

import json

import pytest

from gpu_worker.heard import ChunkTranscript
from gpu_worker.pcm import Span
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.records import Records, failures
from tasks.runs.stages import Stage
from tests.inputs.examples import TENANT, a_manifest, a_unit, write_records
from tests.inputs.speech import recording
from tests.unit.tasks.inline import run_task

RATE = 16_000
CUT = 6 * RATE
UNIT = a_unit(Stage.ALIGN, 1)


@pytest.fixture(autouse=True)
def audio(place: Workplace) -> None:
    """Two chunks of speech in the store, to be aligned."""
    samples = recording(12)[0]
    chunks = (Span(0, CUT), Span(CUT, len(samples)))
    plan = Plan(audio="ab", seconds=len(samples) / RATE, chunks=chunks)
    write_records(place.store, a_manifest(aligner="ctc"), plan)
    place.store.put(keys.pcm(TENANT, "ab"), (samples * 32767).astype("<i2").tobytes())


def heard(place: Workplace, stage: Stage) -> ChunkTranscript:
    artifact = place.store.get(Records(place.store).key(a_unit(stage, 1)))
    return ChunkTranscript.from_json(json.loads(artifact))


@pytest.mark.slow
def test_a_chunk_keeps_its_words_and_gets_other_times(place: Workplace) -> None:
    run_task(a_unit(index=1))
    receipt = run_task(UNIT)
    assert receipt["outcome"] == "computed" and receipt["audio_seconds"] > 5
    before, after = heard(place, Stage.TRANSCRIBE), heard(place, Stage.ALIGN)
    words = [word.word for segment in before.segments for word in segment.words]
    assert [word.word for segment in after.segments for word in segment.words] == words
    assert after.segments[0].start >= 6.0


def test_a_chunk_without_a_transcription_is_left_alone(place: Workplace) -> None:
    assert run_task(UNIT)["outcome"] == "incomplete"
    assert failures(place.store, UNIT.run) == {}


def test_a_chunk_in_which_nobody_speaks_needs_no_aligner(place: Workplace) -> None:
    manifest = a_manifest("silent", aligner="ctc", align_model="no such model")
    write_records(place.store, manifest, Plan(audio="00", seconds=1.0, chunks=(Span(0, RATE),)))
    place.store.put(keys.pcm(TENANT, "00"), bytes(RATE * 2))
    run_task(a_unit(job="silent"))
    assert run_task(a_unit(Stage.ALIGN, job="silent"))["outcome"] == "computed"


def test_an_aligner_that_cannot_be_had_is_a_failure_and_no_exception(place: Workplace) -> None:
    plan = Records(place.store).plan(TENANT, "job-1")
    write_records(
        place.store, a_manifest("other", align_model="no such model", aligner="ctc"), plan
    )
    run_task(a_unit(index=1, job="other"))
    receipt = run_task(a_unit(Stage.ALIGN, 1, job="other"))
    assert (receipt["outcome"], receipt["detail"]["code"]) == ("failed", "unknown_model")


def test_a_language_that_no_model_aligns_says_what_to_do(place: Workplace) -> None:
    plan = Records(place.store).plan(TENANT, "job-1")
    zulu = a_manifest("zulu", model="large-v3", language="zu", aligner="ctc")
    write_records(place.store, zulu, plan)
    run_task(a_unit(index=1))
    written = place.store.get(Records(place.store).key(a_unit(index=1)))
    place.store.put(Records(place.store).key(a_unit(index=1, job="zulu")), written)
    detail = run_task(a_unit(Stage.ALIGN, 1, job="zulu"))["detail"]
    assert detail["code"] == "no_align_model" and "'zu'" in detail["message"]
    assert "--align-model" in detail["hint"]
