"""A message is deleted when its jobs are durable, and not before; real queues (moto)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.triggers import sqs
from orchestrator.triggers.intake import Intake
from orchestrator.triggers.rules import Rules, read_rules
from orchestrator.triggers.sqs import (
    Poller,
    QueueRefused,
    QueueUnavailable,
    delay_seconds,
    region_of,
    sqs_client,
)
from tasks.runs import keys
from tests.eventually import eventually
from tests.inputs.event_bodies import raw
from tests.servers.s3_script import Script


@pytest.fixture
def queues(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", s3_endpoint)
    return sqs_client(s3_endpoint)


@pytest.fixture
def queue_url(queues: Any) -> str:
    created = queues.create_queue(QueueName=f"test-{uuid4().hex}")
    return str(created["QueueUrl"])


@pytest.fixture
def rules(tmp_path: Path, bucket: str, connection: Cluster) -> Rules:
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nbucket = "{bucket}"\n[rule.options]\nmodel = "fake"\n')
    return read_rules(path, connection.settings)


@pytest.fixture
def intake(connection: Cluster, rules: Rules, s3_shared_client: Any) -> Intake:
    return Intake(connection, rules, s3_shared_client)


@pytest.fixture
def poll(intake: Intake, queues: Any, queue_url: str) -> Iterator[Callable[[], None]]:
    """Start a poller, which ends with the test."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start() -> None:
        poller = Poller(intake, queues, queue_url)
        threads.append(threading.Thread(target=poller.run, args=(stop,)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "WAIT_SECONDS", 1)
    monkeypatch.setattr(sqs, "PAUSE_SECONDS", 0.05)


def counts(queues: Any, queue_url: str) -> tuple[int, int]:
    """Messages that wait, and messages that are in hand or hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


@pytest.mark.slow
def test_each_message_becomes_its_jobs_and_is_deleted(
    connection: Cluster,
    poll: Callable[[], None],
    queues: Any,
    queue_url: str,
    s3_shared_client: Any,
    bucket: str,
) -> None:
    for name in "abc":
        s3_shared_client.put_object(Bucket=bucket, Key=f"{name}.wav", Body=name.encode())
    bodies = [raw(bucket, f"{name}.wav") for name in "abcabccba"]
    bodies += [raw(bucket, "gone.wav"), json.dumps({"Event": "s3:TestEvent"})] * 2
    for body in bodies:
        queues.send_message(QueueUrl=queue_url, MessageBody=body)
    poll()
    assert eventually(lambda: counts(queues, queue_url) == (0, 0))
    assert len(connection.jobs.newest("default", 100)) == 3
    assert list(connection.store.list(keys.DEAD_TRIGGERS)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code"),
    [("hello", "malformed_event"), (raw("BUCKET", "calls//a.wav"), "unusable_key")],
)
def test_a_message_that_can_never_be_taken_is_buried_and_deleted(
    connection: Cluster,
    poll: Callable[[], None],
    queues: Any,
    queue_url: str,
    bucket: str,
    body: str,
    code: str,
) -> None:
    body = body.replace("BUCKET", bucket)
    name = queues.send_message(QueueUrl=queue_url, MessageBody=body)["MessageId"]
    poll()
    assert eventually(lambda: counts(queues, queue_url) == (0, 0))
    kept = json.loads(connection.store.get(keys.dead_trigger(name)))
    assert (kept["body"], kept["error"]["code"]) == (body, code)


@pytest.mark.slow
@pytest.mark.parametrize("reply", [(503, "SlowDown"), (403, "AccessDenied")])
def test_a_message_that_cannot_be_taken_now_is_hidden_and_comes_again(
    connection: Cluster,
    poll: Callable[[], None],
    queues: Any,
    queue_url: str,
    s3_shared_client: Any,
    bucket: str,
    reply: tuple[int, str],
) -> None:
    s3_shared_client.put_object(Bucket=bucket, Key="a.wav", Body=b"a")
    script = Script(s3_shared_client)
    sent = script.answer("HeadObject", reply)
    queues.send_message(QueueUrl=queue_url, MessageBody=raw(bucket, "a.wav"))
    poll()
    assert eventually(lambda: len(sent) == 1)
    assert eventually(lambda: counts(queues, queue_url) == (0, 1))
    assert connection.jobs.newest("default", 100) == []
    # Neither count may hold a message that is on its way from one to the other.
    assert eventually(lambda: len(sent) == 2)
    assert eventually(lambda: counts(queues, queue_url) == (0, 0))
    script.undo()
    assert len(sent) == 2
    assert len(connection.jobs.newest("default", 100)) == 1


def test_without_redis_messages_stay(
    connection: Cluster, rules: Rules, queues: Any, queue_url: str, no_redis: Any,
    s3_shared_client: Any, bucket: str,
) -> None:  # fmt: skip
    s3_shared_client.put_object(Bucket=bucket, Key="a.wav", Body=b"a")
    jobless = replace(connection, jobs=type(connection.jobs)(no_redis))
    poller = Poller(Intake(jobless, rules, s3_shared_client), queues, queue_url)
    queues.send_message(QueueUrl=queue_url, MessageBody=raw(bucket, "a.wav"))
    run_once(poller)
    assert counts(queues, queue_url) == (0, 1)


class Stop(threading.Event):
    """Set after one batch."""

    def __init__(self, batches: int = 1) -> None:
        super().__init__()
        self._left = batches

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0 or super().is_set()


def run_once(poller: Poller, batches: int = 1) -> None:
    poller.run(Stop(batches))


def test_a_mistake_of_ours_ends_neither_the_message_nor_the_poller(
    intake: Intake, queues: Any, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(intake, "take", fail)
    queues.send_message(QueueUrl=queue_url, MessageBody="{}")
    run_once(Poller(intake, queues, queue_url))
    assert counts(queues, queue_url) == (0, 1)


def test_a_message_that_cannot_be_deleted_is_only_taken_again(
    intake: Intake, queues: Any, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"Event": "s3:TestEvent"}))

    def refuse(**_: object) -> None:
        raise QueueUnavailable()

    with monkeypatch.context() as patched:
        patched.setattr(queues, "delete_message", refuse)
        run_once(Poller(intake, queues, queue_url))
    assert counts(queues, queue_url) == (0, 1)


def test_a_queue_that_is_not_there_is_refused(intake: Intake, queues: Any, queue_url: str) -> None:
    with pytest.raises(QueueRefused, match="NonExistentQueue"):
        run_once(Poller(intake, queues, f"{queue_url}-other"))


def test_each_poll_is_a_heartbeat_also_of_a_queue_that_is_away(
    intake: Intake, queues: Any, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[str] = []
    queues.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    run_once(Poller(intake, queues, queue_url, lambda: beats.append("taken")))

    def fail(_: Poller) -> None:
        raise QueueUnavailable()

    monkeypatch.setattr(sqs, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(Poller, "_receive", fail)
    run_once(Poller(intake, queues, queue_url, lambda: beats.append("away")))
    assert beats == ["taken", "away"]


@pytest.mark.slow
def test_a_queue_that_does_not_answer_is_asked_again(
    intake: Intake, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs, "ATTEMPTS", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: no other process can take it
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", address)
        began = time.monotonic()
        run_once(Poller(intake, sqs_client(address), f"{address}/1/q"), batches=2)
        assert time.monotonic() - began >= 2 * sqs.PAUSE_SECONDS


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (500, "InternalError", QueueUnavailable),
        (400, "ThrottlingException", QueueUnavailable),
        (403, "RequestThrottled", QueueUnavailable),
        (403, "AccessDenied", QueueRefused),
        (403, "InvalidClientTokenId", QueueRefused),
    ],
)
def test_a_refusal_is_told_from_an_outage(status: int, code: str, expected: Any) -> None:
    from botocore.exceptions import ClientError

    reply: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(expected), sqs._faults():
        raise ClientError(reply, "ReceiveMessage")


def test_missing_credentials_and_regions_are_named(
    s3_endpoint: str, intake: Intake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(QueueRefused, match="region"):
        sqs_client(s3_endpoint)
    url = "https://sqs.eu-west-1.amazonaws.com/1/q"
    with pytest.raises(QueueRefused, match="credentials"):
        run_once(Poller(intake, sqs_client(url), url))


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/calls", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/calls", "cn-north-1"),
        ("http://localhost:9324/000000000000/calls", None),
        ("calls", None),
    ],
)
def test_the_region_is_that_of_the_queues_address(url: str, region: str | None) -> None:
    assert region_of(url) == region


def test_a_message_is_hidden_for_longer_each_time() -> None:
    assert [delay_seconds(count) for count in (0, 1, 2, 3, 9, 10, 11, 1000)] == [
        *(2, 2, 4, 8, 512, 900, 900, 900)
    ]
