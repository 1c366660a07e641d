"""A hostile sender of Celery messages: the trigger does what the contract says, and no more."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, chord
from celery.canvas import Signature
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.local.front_door import celery_program
from orchestrator.local.process import Child
from tasks.fair_queue import lengths, lists
from tests.eventually import eventually
from tests.integration.cluster import quick_settings
from tests.servers.redis_process import redis_process

FIELDS: dict[str, Any] = {"source": "s3://in/talk.wav", "options": {"model": "fake"}}
OTHER_QUEUE = "transcribe.bulk"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger's real process, what its sender has, and its Redis."""

    child: Child
    sender: Celery
    redis: Redis

    def ask(self, task: str = "scriptorium.submit", **fields: Any) -> dict[str, Any]:
        reply = self.sender.send_task(task, kwargs=fields, queue="submit").get(timeout=60)
        assert isinstance(reply, dict)
        return reply

    def put(self, body: Any, headers: dict[str, Any]) -> None:
        """Write a message as any program can that reaches Redis."""
        message = {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "delivery_tag": str(uuid4()),
                "delivery_info": {"exchange": "", "routing_key": OTHER_QUEUE},
                "body_encoding": "base64",
            },
        }
        self.redis.lpush("submit", json.dumps(message))


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trigger]:
    directory = tmp_path_factory.mktemp("trigger")
    (directory / "store").mkdir()
    with redis_process(directory) as port:
        url = f"redis://127.0.0.1:{port}/0"
        values: Settings = quick_settings(
            directory,
            redis_url=SecretStr(url),
            store_url=(directory / "store").as_uri(),
            source_buckets="in",
            allowed_models="fake",
            allow_urls=True,
            webhook_key=SecretStr("the cluster's key"),
            message_tenants="acme",
        )
        program = celery_program(values, directory, "test")
        child = Child(program.name, program.command, program.log, program.environment)
        with (
            Celery("elsewhere", broker=url, backend=url, set_as_current=False) as sender,
            Redis(port=port) as redis,
        ):
            try:
                yield Trigger(child, sender, redis)
            finally:
                child.kill()
                print(program.log.read_text()[-3000:])


def hostile(sender: Celery) -> Signature:
    """A message to a queue of the workers, which no submitter may write."""
    return sender.signature("scriptorium.transcribe", queue=OTHER_QUEUE, immutable=True)


def test_what_a_message_would_make_the_trigger_send_is_dropped(trigger: Trigger) -> None:
    evil = hostile(trigger.sender)
    submit = trigger.sender.signature("scriptorium.submit", kwargs=FIELDS, queue="submit")
    linked = submit.clone()
    linked.link(evil)
    linked.link_error(evil)
    results = [
        linked.apply_async(),
        (submit.clone() | evil).apply_async().parent,
        chord([submit.clone()], evil, app=trigger.sender).apply_async().parent[0],
    ]
    for result in results:
        assert result.get(timeout=60)["job"]["status"] == "queued"
    assert lengths(trigger.redis, lists(trigger.redis, [OTHER_QUEUE])) == {}
    assert trigger.redis.keys("celery-taskset-meta-*.j") == []  # no part of a chord was counted


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {"task": "scriptorium.submit", "id": "a"}),
        (7, {"task": "scriptorium.submit", "id": "a"}),
        ([], {"task": "scriptorium.submit", "id": "a"}),
        ([[], {}], {"task": "scriptorium.submit", "id": "a"}),
        ([[], [], {}], {"task": "scriptorium.submit", "id": "a"}),
        ([[], {}, {}], {"task": "scriptorium.submit"}),
        ([[], {}, {}], {"task": "scriptorium.submit", "id": ["a"]}),
        ([[], {}, {}], {"task": "scriptorium.submit", "id": "x" * 100_000}),
        ([[], {}, {}], {"task": ["scriptorium.submit"], "id": "a"}),
        ([[], {}, {}], {"task": "scriptorium.submit", "id": "b", "timelimit": 7}),
        ([[], {}, {}], {"task": "scriptorium.submit", "id": "c", "retries": "many"}),
        ([[], {}, {}], {"task": "scriptorium.submit", "id": "d", "expires": []}),
        ([[], {}, 5], {"task": "scriptorium.submit", "id": "e"}),
        ({"args": 5, "kwargs": 5}, {"task": "scriptorium.submit", "id": "f"}),
        ({"task": "scriptorium.submit", "id": []}, {}),
    ],
)
def test_a_malformed_message_ends_no_trigger(
    trigger: Trigger, body: Any, headers: dict[str, Any]
) -> None:
    trigger.put(body, headers)
    assert trigger.ask("scriptorium.status", job="none")["error"]["code"] == "unknown_job"
    assert trigger.child.exit_status is None
    assert eventually(lambda: not trigger.redis.zcard("submit.unacked_index"))


def test_a_message_names_only_tenants_that_the_operator_listed(trigger: Trigger) -> None:
    job = trigger.ask(**FIELDS, tenant="acme")["job"]
    assert job["tenant"] == "acme"
    for task, fields in (
        ("scriptorium.submit", FIELDS),
        ("scriptorium.status", {"job": job["id"]}),
    ):
        refused = trigger.ask(task, **fields, tenant="other")["error"]
        assert refused["code"] == "tenant_not_allowed" and "MESSAGE_TENANTS" in refused["hint"]
    assert trigger.ask(**FIELDS)["job"]["tenant"] == "default"  # its own needs no list


def test_a_webhook_is_accepted_by_the_rules_of_the_api(trigger: Trigger) -> None:
    assert "job" in trigger.ask(**FIELDS, webhook_url="https://example.org/hook")
    private = trigger.ask(**FIELDS, webhook_url="https://10.0.0.1/hook")
    assert private["error"]["code"] == "address_not_allowed"
