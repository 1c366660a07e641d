"""What Celery messages may say, and what is answered."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gpu_worker.errors import ScriptoriumError
from orchestrator.triggers.contract import (
    LARGEST_BYTES,
    InvalidMessage,
    StatusMessage,
    SubmitMessage,
    error_reply,
    parse_message,
)


def test_a_message_that_says_little_is_enough() -> None:
    asked = parse_message(SubmitMessage, (), {"source": "s3://in/talk.wav"})
    assert (asked.contract, asked.tenant, asked.idempotency_key) == (1, None, None)


def test_a_message_may_say_everything() -> None:
    fields: dict[str, Any] = {
        "contract": 1,
        "source": "s3://in/talk.wav",
        "name": "A talk",
        "options": {"model": "fake", "beam_size": 5},
        "metadata": {"for": "me"},
        "webhook_url": "https://example.com/hook",
        "ready_by": 3600,
        "tenant": "acme",
        "idempotency_key": "once",
    }
    asked = parse_message(SubmitMessage, (), fields)
    assert asked.options.beam_size == 5
    assert asked.tenant == "acme"
    assert asked.ready_by is not None and asked.ready_by > time.time()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "exactly one of source and upload_id"),
        ({"source": 5}, "source: "),
        ({"source": "s3://b/k", "upload_id": "a" * 23}, "exactly one"),
        ({"source": "s3://b/k", "sauce": 1}, "sauce: "),
        ({"source": "s3://b/k", "contract": 2}, "contract: "),
        ({"source": "s3://b/k", "options": {"beam_size": 0}}, "options.beam_size: "),
        ({"source": "s3://b/k", "options": ["fake"]}, "options: "),
        ({"source": "s3://b/k", "tenant": "../other"}, "tenant: "),
        ({"source": "s3://b/k", "idempotency_key": "k" * 300}, "idempotency_key: "),
        ({"source": "s3://b/k\x00"}, "source: "),
        ({"source": "s3://b/k", "ready_by": "2030-05-01T18:00:00"}, "ready_by: "),
        ({"source": "s3://b/k", "metadata": {str(i): "" for i in range(17)}}, "metadata: "),
        ({"source": "x" * LARGEST_BYTES}, "bytes"),
        ({"source": "s3://b/\ud800"}, "source: "),
        ({"source": object()}, "not JSON"),
    ],
)
def test_a_wrong_message_is_told_what_is_wrong(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        parse_message(SubmitMessage, (), fields)
    assert sentence in refused.value.message


def test_arguments_have_names() -> None:
    with pytest.raises(InvalidMessage, match="keyword"):
        parse_message(StatusMessage, ("job-1",), {})


def test_a_job_s_id_is_a_short_plain_word() -> None:
    with pytest.raises(InvalidMessage):
        parse_message(StatusMessage, (), {"job": "../../x"})


def test_many_mistakes_make_a_short_sentence() -> None:
    fields = {f"wrong-{index}": "x" * 1000 for index in range(900)}
    with pytest.raises(InvalidMessage) as refused:
        parse_message(SubmitMessage, (), fields)
    reply = error_reply(refused.value)
    assert len(str(reply)) < 1000
    assert reply["contract"] == 1
    assert reply["error"]["code"] == "invalid_request"


def test_a_long_error_is_cut() -> None:
    assert len(error_reply(ScriptoriumError("x" * 9999))["error"]["message"]) == 500
