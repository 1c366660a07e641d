"""What is kept of a message that the trigger takes; a real worker has a test of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError
from celery.worker.consumer import Consumer
from kombu.message import Message
from prometheus_client import REGISTRY

from orchestrator.triggers.celery_tasks import app as APP
from orchestrator.triggers.messages import (
    LONGEST_ID,
    RETRIES,
    ContractConsumer,
    ContractRequest,
    check_form,
)

NAME = "scriptorium.submit"


def a_message(content: Any, **headers: Any) -> Message:
    body = json.dumps(content)
    return Message(body, content_type="application/json", content_encoding="utf-8", headers=headers)


def taken(content: Any, **headers: Any) -> ContractRequest:
    return ContractRequest(a_message(content, **headers), app=APP, task=APP.tasks[NAME])


def test_the_arguments_and_the_id_are_kept_and_no_instruction_is() -> None:
    evil = {"task": "scriptorium.transcribe", "options": {"queue": "transcribe.bulk"}}
    embed = {"callbacks": [evil], "errbacks": [evil], "chain": [evil], "chord": evil, "id": "x"}
    extra = {"group": "g", "group_index": 1, "timelimit": [1, 1], "shadow": "s", "stamps": {}}
    request = taken(
        [[], {"source": "s3://in/a"}, embed], task=NAME, id="one", chord=evil, callbacks=[evil],
        errbacks=[evil], chain=[evil], **extra,
    )  # fmt: skip
    assert (request.id, request.kwargs) == ("one", {"source": "s3://in/a"})
    assert request.body == ([], {"source": "s3://in/a"}, {})
    assert (request.chord, request.errbacks, request.group) == (None, None, None)
    assert request.time_limits == (None, None)
    context = request._context
    assert [context.callbacks, context.errbacks, context.chain, context.chord] == [None] * 4
    assert not {*extra, "callbacks", "errbacks", "chain", "chord"} & set(request.request_dict)


def test_the_arguments_are_in_no_event_and_no_log() -> None:
    request = taken([[], {"source": "secret"}, {}], task=NAME, id="one", kwargsrepr="secret")
    assert (request.argsrepr, request.kwargsrepr) == ("...", "...")


@pytest.mark.parametrize(
    ("given", "kept"), [(None, 0), (2, 2), (-(10**9), 0), (10**9, RETRIES), ("many", 0)]
)
def test_a_sender_cannot_change_how_often_it_is_tried(given: Any, kept: int) -> None:
    assert taken([[], {}, {}], task=NAME, id="one", retries=given).request_dict["retries"] == kept


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (None, {"id": "a"}),
        (7, {"id": "a"}),
        ([], {"id": "a"}),
        ([[], {}], {"id": "a"}),
        ([[], [], {}], {"id": "a"}),
        ([7, {}, {}], {"id": "a"}),
        ([[], {}, {}], {}),
        ([[], {}, {}], {"id": ["a"]}),
        ([[], {}, {}], {"id": ""}),
        ([[], {}, {}], {"id": "a", "task": ["scriptorium.submit"]}),
        ([[], {}, {}], {"id": "x" * (LONGEST_ID + 1)}),
        ([[], {}, {}], {"id": "a", "eta": 5}),
        ([[], {}, {}], {"id": "a", "expires": []}),
        ({"args": 5, "kwargs": 5}, {"id": "a"}),
    ],
)
def test_a_message_of_a_wrong_form_is_refused(content: Any, headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidTaskError):
        check_form(a_message(content, **({"task": NAME} | headers)))


def test_a_message_that_is_dropped_is_counted_from_zero_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> float:
        labels = {"trigger": "celery"}
        found = REGISTRY.get_sample_value("scriptorium_trigger_dead_letters_total", labels)
        assert found is not None
        return found

    handled: list[Message] = []
    monkeypatch.setattr(Consumer, "create_task_handler", lambda *_, **__: handled.append)
    monkeypatch.setattr(Message, "reject_log_error", lambda *_: None)
    consumer = ContractConsumer.__new__(ContractConsumer)
    consumer.connection_errors = ()
    take, before = consumer.create_task_handler(), counted()
    take(a_message([[], {}, {}], id="one", task=NAME))
    assert (counted(), len(handled)) == (before, 1)
    take(a_message(7, id="one", task=NAME))
    assert (counted(), len(handled)) == (before + 1, 1)


def test_messages_of_both_protocols_are_taken() -> None:
    old = {"task": NAME, "id": "one", "kwargs": {"source": "s3://in/a"}}
    check_form(a_message(old))
    check_form(a_message([[], {"source": "s3://in/a"}, None], task=NAME, id="one"))
    request = ContractRequest(
        a_message(old), headers=old, body=((), old["kwargs"], {"chord": 1}), decoded=True,
        app=APP, task=APP.tasks[NAME],
    )  # fmt: skip
    assert request.body == ((), {"source": "s3://in/a"}, {})
