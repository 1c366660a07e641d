"""The names that jobs may use, as OpenAI's client lists them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from config.settings import Settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"model": "/models/own", "allowed_models": "fake,owner/model,/models/other"}
    )


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url="http://localhost") as client:
        yield client


def test_every_name_is_listed_once(http: TestClient) -> None:
    found = http.get("/v1/models").json()
    assert found["object"] == "list"
    names = [model["id"] for model in found["data"]]
    assert len(names) == len(set(names))
    assert {"/models/own", "whisper-1", "gpt-4o-transcribe-diarize", "pico", "large-v3"} <= {*names}
    assert {"fake", "owner/model"} <= {*names} and "/models/other" not in names
    assert {model["object"] for model in found["data"]} == {"model"}
    assert all(isinstance(model["created"], int) for model in found["data"])


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("whisper-1", "scriptorium"),
        ("pico", "scriptorium"),
        ("fake-10x", "scriptorium"),
        ("large-v3", "Systran"),
        ("owner/model", "owner"),
        ("/models/own", "scriptorium"),
    ],
)
def test_a_name_that_a_job_may_use_is_found(http: TestClient, name: str, owner: str) -> None:
    found = http.get(f"/v1/models/{name}").json()
    assert (found["id"], found["owned_by"]) == (name, owner)


@pytest.mark.parametrize(
    "name", ["gpt-7", "a/b/c", "another/model", "/models/other", "%2Fetc", "%00", "%ff", "x" * 9000]
)
def test_another_name_is_not(http: TestClient, name: str) -> None:
    reply = http.get(f"/v1/models/{name}")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert (error["code"], error["param"], error["type"]) == (
        "unknown_model", "model", "not_found_error",
    )  # fmt: skip


def test_a_name_on_two_lines_is_none(http: TestClient) -> None:
    assert http.get("/v1/models/a%0Ab").status_code == 404
