"""How long the client of an S3 that is silent waits for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from gpu_worker.errors import StoreUnavailable
from tasks.artifacts.opening import PATIENT, PROMPT, Patience, open_store


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_store_that_never_answers_is_given_up_when_the_patience_is_over(silent: str) -> None:
    store = open_store("s3://bucket/prefix", endpoint_url=silent, patience=Patience(0.2, 0.2, 1))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.size("key")
    assert 0.2 <= time.monotonic() - began < 30.0  # and not a worker's minute


def test_the_api_answers_sooner_than_its_clients_give_up_and_a_worker_waits_longer() -> None:
    backoff = sum(2.0**number for number in range(PROMPT.attempts - 1))  # botocore's, at most
    for seconds in (PROMPT.connect_seconds, PROMPT.read_seconds):
        assert PROMPT.attempts * seconds + backoff < 60.0  # what most proxies wait for an answer
    assert PATIENT.read_seconds > PROMPT.read_seconds
