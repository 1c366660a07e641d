"""Collections over HTTP: submitted in every way, shown, retried, canceled, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster
from tests.unit.orchestrator.collections.collected import collecting, end_jobs
from tests.unit.orchestrator.reconciler.passes import with_settings

HOST = "http://127.0.0.1"
OPTIONS = {"model": "fake", "language": "en"}


@pytest.fixture
def cluster(connection: Cluster, s3_endpoint: str) -> Cluster:
    allowed = {"source_buckets": "calls", "allowed_models": "fake", "collection_bytes": 3_000_000}
    return with_settings(connection, **allowed, s3_endpoint_url=s3_endpoint)


@pytest.fixture
def http(cluster: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(cluster), base_url=HOST) as client:
        yield client


def sent(http: TestClient, data: bytes, name: str, **headers: str) -> Any:
    form = {"options": json.dumps(OPTIONS), "metadata": '{"team": "sales"}'}
    return http.post("/v1/collections", files={"file": (name, data)}, data=form, headers=headers)


def test_a_list_is_sent_shown_retried_and_deleted(http: TestClient, cluster: Cluster) -> None:
    reply = sent(
        http, b"source,name\ns3://calls/1.wav,\ns3://calls/2.wav,Two\n/3.wav,\n", "may.csv"
    )
    assert reply.status_code == 202
    shown = reply.json()
    place = f"/v1/collections/{shown['id']}"
    assert reply.headers["location"] == place
    assert (shown["object"], shown["name"], shown["metadata"]) == (
        "collection",
        "may.csv",
        {"team": "sales"},
    )
    assert (shown["status"], shown["counts"]["waiting"]) == ("queued", 3)
    duty = collecting(cluster)
    duty.go_on()
    end_jobs(cluster, "Two")
    duty.go_on()
    shown = http.get(place).json()
    assert (shown["status"], shown["progress"], shown["round"]) == ("partial", 1.0, 1)
    bad = http.get(f"{place}/lines", params={"status": ["failed", "refused"], "limit": 1}).json()
    (first,) = bad["data"]
    assert (first["line"], first["name"], first["error"]["code"]) == (3, "Two", "unreadable_audio")
    rest = http.get(
        f"{place}/lines",
        params={"status": ["failed", "refused"], "cursor": bad["next_cursor"]},
    ).json()
    assert [line["error"]["code"] for line in rest["data"]] == ["invalid_option"]
    assert rest["next_cursor"] is None
    again = http.post(f"{place}/retry")
    assert (again.status_code, again.json()["round"]) == (202, 2)
    duty.go_on()
    assert http.post(f"{place}/cancel").status_code == 202
    assert http.delete(place).status_code == 204
    assert http.get(place).status_code == 404


def test_the_objects_below_a_prefix_are_one_collection(
    http: TestClient, cluster: Cluster, s3_shared_client: Any
) -> None:
    s3_shared_client.create_bucket(Bucket="calls")
    for key in ("may/", "may/1.wav", "may/2.wav", "may/notes.txt", "june/1.wav"):
        s3_shared_client.put_object(Bucket="calls", Key=key, Body=b"x")
    body = {"prefix": "s3://calls/may/", "suffix": [".wav"], "options": OPTIONS}
    reply = http.post("/v1/collections", json=body)
    assert reply.status_code == 202, reply.text
    assert reply.json()["counts"]["total"] == 2
    collecting(cluster).go_on()
    found = http.get(f"/v1/collections/{reply.json()['id']}/lines").json()["data"]
    assert [line["name"] for line in found] == ["1.wav", "2.wav"]
    elsewhere = http.post("/v1/collections", json={"prefix": "s3://other/may/"})
    assert elsewhere.json()["error"]["code"] == "source_not_allowed"
    empty = http.post("/v1/collections", json={"prefix": "s3://calls/july/"})
    assert empty.json()["error"]["code"] == "collection_out_of_bounds"


def test_a_repetition_gives_the_same_collection(http: TestClient) -> None:
    first = sent(http, b"s3://calls/1.wav\n", "a.csv", **{"Idempotency-Key": "may"}).json()
    assert sent(http, b"s3://calls/1.wav\n", "a.csv", **{"Idempotency-Key": "may"}).json() == first
    other = sent(http, b"s3://calls/2.wav\n", "a.csv", **{"Idempotency-Key": "may"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert [it["id"] for it in http.get("/v1/collections").json()["data"]] == [first["id"]]


def test_a_long_list_fits_into_the_body(http: TestClient) -> None:
    items = [f"s3://calls/{number:06}.wav" for number in range(45_000)]
    reply = http.post("/v1/collections", json={"lines": items, "options": OPTIONS})
    assert reply.status_code == 202
    assert reply.json()["counts"] == dict.fromkeys(reply.json()["counts"], 0) | {
        "total": 45_000,
        "waiting": 45_000,
    }
    too_long = http.post("/v1/collections", json={"lines": ["x" * 3_100_000]})
    assert too_long.status_code == 413


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"lines": ["s3://calls/1.wav"], "prefix": "s3://calls/"}, 422, "invalid_request"),
        ({"lines": []}, 413, "collection_out_of_bounds"),
        ({"lines": ["s3://calls/1.wav"], "options": {"colour": 1}}, 422, "invalid_request"),
        ({"lines": ["s3://calls/1.wav"], "options": {"language": "zz"}}, 400, "invalid_option"),
        ({"prefix": "https://calls/"}, 400, "invalid_option"),
        ({"lines": ["s3://a/1"], "webhook_url": "https://a.eu/"}, 403, "webhook_not_allowed"),
    ],
)  # fmt: skip
def test_what_is_wrong_for_all_lines_is_refused_at_once(
    http: TestClient, body: dict[str, Any], status: int, code: str
) -> None:
    reply = http.post("/v1/collections", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_an_id_that_is_none_is_unknown(http: TestClient) -> None:
    for name in ("c-1", "C", "c-" + "0" * 23):
        reply = http.get(f"/v1/collections/{name}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_collection")
