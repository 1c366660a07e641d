"""`scriptorium triggers sqs` as its users meet it: a process, its exit and what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.cli import triggers
from orchestrator.cli.context import _state
from orchestrator.cluster.connection import Cluster
from orchestrator.triggers.rules import InvalidRules
from orchestrator.triggers.sqs import sqs_client
from tasks.runs import keys
from tests.eventually import eventually
from tests.inputs.event_bodies import raw

RULES = '[[rule]]\nbucket = "{bucket}"\n[rule.options]\nmodel = "fake"\n'


@pytest.fixture
def rules_file(tmp_path: Path, bucket: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES.format(bucket=bucket))
    return path


@pytest.fixture
def current(
    connection: Cluster, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The settings that a command finds, as if the environment had them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", s3_endpoint)
    settings = connection.settings.model_copy(update={"s3_endpoint_url": s3_endpoint})
    monkeypatch.setitem(_state, "settings", settings)
    yield settings


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """The command handles signals itself; undo it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def queue_with(endpoint: str, *bodies: str) -> tuple[Any, str]:
    client = sqs_client(endpoint)
    url = str(client.create_queue(QueueName=f"test-{uuid4().hex}")["QueueUrl"])
    for body in bodies:
        client.send_message(QueueUrl=url, MessageBody=body)
    return client, url


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_takes_messages_until_it_is_asked_to_end(
    current: Settings,
    own_handlers: None,
    connection: Cluster,
    rules_file: Path,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setattr("orchestrator.triggers.sqs.WAIT_SECONDS", 1)
    s3_shared_client.put_object(Bucket=bucket, Key="a.wav", Body=b"a")
    _, url = queue_with(s3_endpoint, raw(bucket, "a.wav"))

    def end() -> None:
        assert eventually(lambda: len(connection.jobs.newest("default", 10)) == 1)
        os.kill(os.getpid(), number)

    ending = threading.Thread(target=end)
    ending.start()
    triggers.sqs(url, rules_file)
    ending.join()
    with pytest.raises(KeyboardInterrupt):  # the next one would end it at once
        os.kill(os.getpid(), number)


def test_without_rules_it_says_where_to_give_them(current: Settings) -> None:
    with pytest.raises(InvalidOption, match="no rules") as refused:
        triggers.sqs("http://127.0.0.1:1/1/q", None)
    assert "SCRIPTORIUM_TRIGGER_RULES" in refused.value.advice


def test_rules_with_a_mistake_are_told_before_anything_is_taken(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[[rule]]")
    monkeypatch.setitem(_state, "settings", current.model_copy(update={"trigger_rules": path}))
    with pytest.raises(InvalidRules, match="Rule 1"):
        triggers.sqs("http://127.0.0.1:1/1/q", None)


def test_messages_that_nothing_could_be_made_of_are_shown(
    current: Settings, connection: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.store.put(keys.dead_trigger("m-1"), b'{"body": "hello"}')
    triggers.dead_letters()
    assert json.loads(capsys.readouterr().out) == [{"message": "m-1", "body": "hello"}]


def test_many_of_them_are_shown_in_pieces(
    current: Settings, connection: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("m-1", "m-2", "m-3"):
        connection.store.put(keys.dead_trigger(name), b"{}")
    triggers.dead_letters(limit=2)
    first = capsys.readouterr()
    assert json.loads(first.out) == [{"message": "m-1"}, {"message": "m-2"}]
    assert first.err.strip() == "There are more: --after m-2"
    triggers.dead_letters(limit=2, after="m-2")
    last = capsys.readouterr()
    assert (json.loads(last.out), last.err) == ([{"message": "m-3"}], "")


@pytest.mark.slow
def test_its_help_names_its_options() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "triggers", "sqs", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
    )
    assert "--queue-url" in told.stdout and "--rules" in told.stdout
