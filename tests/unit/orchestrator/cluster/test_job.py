"""A job as its facts make it: status, stage, progress, how long it will take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.job import (
    TRANSITIONS,
    Chunks,
    Job,
    Receipts,
    Status,
    Summary,
    describe_job,
)
from tasks.runs.manifest import Plan
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.state.receipts import Outcome, Receipt
from tests.inputs.examples import a_manifest, a_plan

PLAN = a_plan(10, 10, 20)
PREPARED = {(Stage.PREPARE, 0): Receipt("computed", finished_at=100.0)}
ERROR = {"code": "unreadable_audio", "message": "It is a picture.", "hint": "", "type": "permanent"}


def chunks(**outcomes: Outcome) -> dict[tuple[Stage, int], Receipt]:
    return {
        (Stage.TRANSCRIBE, int(name[1:])): Receipt(outcome) for name, outcome in outcomes.items()
    }


def described(
    receipts: Receipts | None = None,
    plan: Plan | None = PLAN,
    summary: Summary | None = None,
    now: float = 110.0,
    **options: Any,
) -> Job:
    return describe_job(a_manifest(**options), 1, receipts or {}, plan, summary, now)


def test_a_job_of_which_nothing_is_known_is_queued() -> None:
    job = described(plan=None)
    assert (job.status, job.stage, job.progress) == (Status.QUEUED, Stage.PREPARE, 0.0)
    assert (job.audio_seconds, job.eta_seconds, job.chunks) == (None, None, Chunks())


@pytest.mark.parametrize(
    ("receipts", "language", "stage"),
    [
        (PREPARED, None, Stage.DETECT_LANGUAGE),
        (PREPARED, "en", Stage.TRANSCRIBE),
        (PREPARED | {(Stage.DETECT_LANGUAGE, 0): Receipt("cached")}, None, Stage.TRANSCRIBE),
        (PREPARED | chunks(c0="computed", c1="failed"), "en", Stage.TRANSCRIBE),
        (PREPARED | chunks(c0="computed", c1="failed", c2="cached"), "en", Stage.ASSEMBLE),
    ],
)
def test_the_stage_is_the_first_that_is_not_settled(
    receipts: Receipts, language: str | None, stage: Stage
) -> None:
    job = described(receipts, language=language)
    assert (job.status, job.stage) == (Status.PROCESSING, stage)


@pytest.mark.parametrize(
    ("done", "stage"),
    [
        ([], Stage.TRANSCRIBE),
        ([Stage.TRANSCRIBE], Stage.ALIGN),
        ([Stage.TRANSCRIBE, Stage.ALIGN], Stage.EMBED_SPEAKERS),
        ([Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS], Stage.DIARIZE),
        ([Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS, Stage.DIARIZE], Stage.ASSEMBLE),
    ],
)
def test_words_and_speakers_are_stages_of_their_own(done: list[Stage], stage: Stage) -> None:
    receipts = PREPARED | {
        (each, index): Receipt("computed") for each in done for index in range(3)
    }
    job = described(receipts, aligner="ctc", diarize=True, shard_seconds=16)
    assert job.stage is stage
    assert job.chunks.done == (3 if Stage.ALIGN in done else 0)
    assert job.progress == pytest.approx(len(set(done) - {Stage.DIARIZE}) / 3, abs=1e-3)


def test_what_was_not_transcribed_is_not_waited_for_to_be_aligned() -> None:
    receipts = PREPARED | chunks(c0="failed", c1="computed", c2="computed")
    receipts |= {(Stage.ALIGN, 1): Receipt("failed"), (Stage.ALIGN, 2): Receipt("computed")}
    job = described(receipts, aligner="ctc")
    assert (job.stage, job.progress) == (Stage.ASSEMBLE, 1.0)
    assert job.chunks == Chunks(total=3, done=2, failed=1)


def test_progress_counts_seconds_of_audio_and_not_chunks() -> None:
    job = described(PREPARED | chunks(c0="computed", c2="failed"))
    assert job.progress == 0.75
    assert job.chunks == Chunks(total=3, done=1, failed=1)


def test_the_time_left_is_at_the_speed_since_the_audio_was_prepared() -> None:
    assert described(PREPARED | chunks(c0="computed")).eta_seconds == 30.0
    assert described(PREPARED).eta_seconds is None
    assert described(chunks(c0="computed")).eta_seconds is None


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (result_record(transcript={"language": "es"}), Status.COMPLETED),
        (result_record(transcript={}, missing=[{"start": 0}]), Status.PARTIAL),
        (result_record(error=ERROR), Status.FAILED),
        (result_record(canceled=True), Status.CANCELED),
    ],
)
def test_the_result_decides_how_a_job_ended(result: dict[str, Any], status: Status) -> None:
    job = described(PREPARED, summary=Summary.of_result(result))
    assert (job.status, job.stage, job.progress, job.eta_seconds) == (status, None, 1.0, None)
    assert job.error == result["error"]
    assert job.status.final


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_a_job_says_whether_its_text_is_a_translation(task: str) -> None:
    assert described(task=task).to_json()["task"] == task


def test_what_the_transcript_says_is_shown() -> None:
    warnings = [{"code": "no_speech", "message": "None."}]
    summary = Summary.of_result(result_record(transcript={"language": "es", "warnings": warnings}))
    job = described(summary=summary)
    assert (job.language, job.warnings) == ("es", tuple(warnings))


def test_a_job_is_printed_with_plain_values() -> None:
    printed = described(PREPARED).to_json()
    assert printed["status"] == "processing" and printed["stage"] == "transcribe"
    assert printed["chunks"] == {"total": 3, "done": 0, "failed": 0}
    assert described(summary=Summary()).to_json()["stage"] is None


def test_only_a_run_that_did_not_complete_is_queued_again() -> None:
    again = {status for status in Status if Status.QUEUED in TRANSITIONS[status]}
    assert again == {Status.FAILED, Status.PARTIAL, Status.CANCELED}


def test_a_final_job_changes_by_a_retry_alone() -> None:
    for status in Status:
        assert TRANSITIONS[status] <= ({Status.QUEUED} if status.final else set(Status))
        assert status not in TRANSITIONS[status]


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.sampled_from(["computed", "cached", "failed"]))),
)
def test_progress_never_falls_and_reaches_one_with_the_last_chunk(
    lengths: list[int], settled: list[tuple[int, Outcome]]
) -> None:
    plan, receipts = a_plan(*lengths), dict(PREPARED)
    before = 0.0
    for index, outcome in settled:
        if index < len(lengths):
            receipts[Stage.TRANSCRIBE, index] = Receipt(outcome)
        job = described(receipts, plan)
        assert before <= job.progress <= 1.0
        before = job.progress
        complete = len(receipts) == len(lengths) + 1
        assert (job.progress == 1.0) is complete
        assert (job.stage is Stage.ASSEMBLE) is complete
