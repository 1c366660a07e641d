"""The webhook of S3-compatible stores, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from orchestrator.access.throttle import WrongKeys
from orchestrator.api import errors
from orchestrator.api.application import make_application
from orchestrator.api.middleware.bodies import BodyLimit
from orchestrator.api.routes import hooks
from orchestrator.cluster.connection import Cluster
from orchestrator.triggers.rules import InvalidRules
from tasks.runs import keys
from tests.inputs.event_bodies import minio, raw
from tests.servers.s3_script import Script

SECRET = {"Authorization": "Bearer s3cret-of-the-hook"}


def application(connection: Cluster, **changes: Any) -> FastAPI:
    """The hook alone."""
    settings = connection.settings.model_copy(update=changes)
    made = FastAPI()
    made.state.cluster = replace(connection, settings=settings)
    made.state.wrong_keys = WrongKeys(settings.wrong_keys_per_minute)
    errors.install(made)
    made.add_middleware(BodyLimit)
    made.include_router(hooks.router)
    return made


@pytest.fixture
def rules_file(tmp_path: Path, bucket: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nbucket = "{bucket}"\n[rule.options]\nmodel = "fake"\n')
    return path


@pytest.fixture
def open_application(connection: Cluster, rules_file: Path, s3_endpoint: str) -> FastAPI:
    return application(
        connection,
        hooks_secret=SecretStr("s3cret-of-the-hook"),
        trigger_rules=rules_file,
        s3_endpoint_url=s3_endpoint,
    )


@pytest.fixture
def http(open_application: FastAPI) -> Iterator[TestClient]:
    with TestClient(open_application, raise_server_exceptions=False) as client:
        yield client


def test_an_event_is_answered_with_its_jobs(
    http: TestClient, connection: Cluster, s3_shared_client: Any, bucket: str
) -> None:
    s3_shared_client.put_object(Bucket=bucket, Key="a b+ü.wav", Body=b"a")
    body = minio(bucket, "a b+ü.wav")
    replies = [http.post("/v1/hooks/s3", content=body, headers=SECRET) for _ in range(2)]
    ((_, job),) = connection.jobs.newest("default", 100)
    assert [reply.json() for reply in replies] == [{"jobs": [job], "ignored": 0}] * 2
    assert {reply.status_code for reply in replies} == {200}


def test_what_can_be_no_job_is_answered_too_so_that_it_holds_up_nothing(
    http: TestClient, connection: Cluster, bucket: str
) -> None:
    gone = http.post("/v1/hooks/s3", content=minio(bucket, "gone.wav"), headers=SECRET)
    refused = http.post("/v1/hooks/s3", content=minio(bucket, "a//b.wav"), headers=SECRET)
    assert gone.json() == refused.json() == {"jobs": [], "ignored": 1}
    (kept,) = connection.store.list(keys.DEAD_TRIGGERS)
    assert json.loads(connection.store.get(kept))["body"] == minio(bucket, "a//b.wav")


@pytest.mark.parametrize("body", ["hello", "{}", ""])
def test_what_is_no_event_is_a_bad_request(http: TestClient, body: str) -> None:
    reply = http.post("/v1/hooks/s3", content=body, headers=SECRET)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "malformed_event")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret-of-the-hook"},
     {"Authorization": "Bearer s3cret-of-the-hook2"}, {"X-API-Key": "s3cret-of-the-hook"}],
)  # fmt: skip
def test_nothing_is_taken_without_the_secret(
    http: TestClient, headers: dict[str, str], bucket: str
) -> None:
    reply = http.post("/v1/hooks/s3", content=raw(bucket, "a.wav"), headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "not_authenticated")
    assert "SECRET" in reply.json()["error"]["message"]


@pytest.mark.slow
def test_a_body_of_more_than_a_mebibyte_is_not_read_to_its_end(http: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 64 << 20:
            sent += 1 << 18
            yield b" " * (1 << 18)

    reply = http.post("/v1/hooks/s3", content=endless(), headers=SECRET)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("answer", [(503, "SlowDown"), (403, "AccessDenied")])
def test_an_event_that_cannot_be_taken_now_is_to_be_sent_again(
    http: TestClient,
    open_application: FastAPI,
    s3_shared_client: Any,
    bucket: str,
    answer: tuple[int, str],
) -> None:
    s3_shared_client.put_object(Bucket=bucket, Key="a.wav", Body=b"a")
    intake = hooks.open_hook(open_application)
    assert intake is not None
    intake._client = s3_shared_client  # does not try twice
    script = Script(s3_shared_client)
    script.answer("HeadObject", answer)
    reply = http.post("/v1/hooks/s3", content=raw(bucket, "a.wav"), headers=SECRET)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
    script.undo()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_open_hook_says_that_it_is_there(http: TestClient, method: str) -> None:
    assert http.request(method, "/v1/hooks/s3").status_code == 200


@pytest.mark.parametrize("given", ["hooks_secret", "trigger_rules", None])
def test_a_hook_without_secret_or_rules_is_closed(
    connection: Cluster, rules_file: Path, given: str | None
) -> None:
    values = {"hooks_secret": SecretStr("s3cret-of-the-hook"), "trigger_rules": rules_file}
    changes = {name: value for name, value in values.items() if name == given}
    with TestClient(application(connection, **changes)) as http:
        for method in ("HEAD", "GET", "POST"):
            reply = http.request(method, "/v1/hooks/s3", headers=SECRET)
            assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "hook_closed"
        assert "SCRIPTORIUM_HOOKS_SECRET" in reply.json()["error"]["message"]


def test_rules_with_a_mistake_keep_the_api_from_starting(
    connection: Cluster, rules_file: Path
) -> None:
    rules_file.write_text("[[rule]]")
    given = {"hooks_secret": SecretStr("x" * 16), "trigger_rules": rules_file}
    settings = connection.settings.model_copy(update=given)
    with pytest.raises(InvalidRules, match="Rule 1"):
        make_application(replace(connection, settings=settings))
