"""Paths that are nearly right: a slash too many, `/v1` left out or written twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster

HOST = "http://127.0.0.1"


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/audio/transcriptions", "/v1/audio/transcriptions"),
        ("/v1/audio/audio/transcriptions", "/v1/audio/transcriptions"),
        ("/v1/audio/transcriptions/models", "/v1/models"),
        ("/openai/v1/audio/translations", "/v1/audio/translations"),
        ("/v2/models", "/v1/models"),
        ("/v1/v1/models", "/v1/models"),
        ("//v1/models", "/v1/models"),
        ("/jobs/17/transcript", "/v1/jobs/17/transcript"),
    ],
)
def test_an_address_that_is_nearly_right_is_told_the_right_one(
    http: TestClient, asked: str, meant: str
) -> None:
    reply = http.get(f"{HOST}{asked}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert f"Use {meant}; the base_url of an OpenAI client ends in /v1" in reply.text


@pytest.mark.parametrize("asked", ["/v1/chat/completions", "/v1/audio/speech", "/v1/none", "/a/b"])
def test_an_address_that_means_nothing_is_told_where_all_are_listed(
    http: TestClient, asked: str
) -> None:
    reply = http.post(asked)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert reply.json()["error"]["message"] == (
        "There is nothing at this address. /docs lists every one."
    )


@pytest.mark.parametrize("asked", ["/v1", "/v1/"])
def test_the_address_for_a_client_says_that_it_is_that(http: TestClient, asked: str) -> None:
    reply = http.get(asked)
    assert reply.status_code == 404 and "base_url" in reply.text


def test_a_slash_at_the_end_makes_no_difference_below_v1(http: TestClient) -> None:
    made = http.post("/v1/jobs/", follow_redirects=False, files={"file": ("a.wav", b"x")})
    assert made.status_code == 202
    job = made.json()["id"]
    assert http.get(f"/v1/jobs/{job}/", follow_redirects=False).json()["id"] == job
    assert http.get("/v1/models//", follow_redirects=False).json()["object"] == "list"
    assert http.get("/v1/jobs/%2f", follow_redirects=False).status_code != 200


def test_what_stands_in_a_wrong_address_is_not_told_back(http: TestClient) -> None:
    assert "scr_secret" not in http.get("/scr_secret").text
