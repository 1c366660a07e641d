"""Which status a job that has no transcript is told with."""

from __future__ import annotations

import json

import pytest

from orchestrator.api.openai.failures import failure_of
from orchestrator.cluster.job import Chunks, Job, Status


def a_job(status: Status, code: str | None = None) -> Job:
    error = {"type": "permanent", "code": code, "message": "It broke.", "hint": "Mend it."}
    return Job(
        "job-1", "default", 1, "talk.wav", "pico", status, None, 1.0, Chunks(), 0.0,
        error=error if code else None,
    )  # fmt: skip


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.PARTIAL])
def test_a_job_with_a_transcript_did_not_fail(status: Status) -> None:
    assert failure_of(a_job(status)) is None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("unreadable_audio", 400),
        ("no_audio_stream", 400),
        ("audio_out_of_bounds", 413),
        ("chunk_crashed", 500),
        ("retries_exhausted", 500),
        ("gpu_out_of_memory", 500),
    ],
)
def test_the_status_says_whose_fault_it_was(code: str, status: int) -> None:
    reply = failure_of(a_job(Status.FAILED, code))
    assert reply is not None and reply.status_code == status
    error = json.loads(bytes(reply.body))["error"]
    assert (error["code"], error["message"]) == (code, "It broke. Mend it.")
    assert reply.headers["x-should-retry"] == "false"


def test_a_canceled_job_is_a_conflict() -> None:
    reply = failure_of(a_job(Status.CANCELED))
    assert reply is not None and reply.status_code == 409
