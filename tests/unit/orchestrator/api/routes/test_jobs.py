"""Jobs over HTTP: submitted in every way, listed, ended, run again and deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Summary
from orchestrator.cluster.job_index import JobIndex
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT
from tests.servers.api import serving

HOST = "http://127.0.0.1"
OPTIONS = {"model": "fake", "language": "en", "aligner": "none"}
FILE = {"file": ("talk.wav", b"RIFF and so on")}


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


def submitted(http: httpx2.Client, **headers: str) -> httpx2.Response:
    data = {"options": json.dumps(OPTIONS), "metadata": '{"episode": "7"}'}
    return http.post("/v1/jobs", files=FILE, data=data, headers=headers)


def error(reply: httpx2.Response) -> tuple[int, str, str | None]:
    body = reply.json()["error"]
    assert body.keys() == {"message", "type", "param", "code"} and body["message"]
    return reply.status_code, body["code"], body["param"]


def sources(connection: Cluster) -> list[str]:
    return list(connection.store.list(f"tenants/{TENANT}/sources/"))


def end(connection: Cluster, job: str) -> None:
    unit = Run(TENANT, job, 1).unit(Stage.ASSEMBLE)
    transcript = {"segments": [], "language": "en", "text": "", "warnings": []}
    connection.store.put(
        keys.of_run(unit.run, keys.RESULT), encode(result_record(transcript=transcript))
    )
    connection.settle(unit.run)


def test_a_form_with_a_file_becomes_a_job(http: TestClient, connection: Cluster) -> None:
    reply = submitted(http)
    job = reply.json()
    assert reply.status_code == 202 and reply.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert job["object"] == "transcription.job" and job["status"] == "queued"
    assert job["name"] == "talk.wav" and job["metadata"] == {"episode": "7"}
    manifest = connection.records.manifest(TENANT, job["id"])
    assert connection.store.get(str(manifest.source.artifact)) == b"RIFF and so on"
    assert http.get(reply.headers["Location"]).json() == job


def test_a_form_may_say_when_the_job_should_be_ready(http: TestClient, connection: Cluster) -> None:
    data = {"options": json.dumps(OPTIONS), "ready_by": "3600"}
    job = http.post("/v1/jobs", files=FILE, data=data).json()
    assert job["ready_by"] == pytest.approx(job["created_at"] + 3600, abs=60)
    assert connection.records.manifest(TENANT, job["id"]).ready_by == job["ready_by"]
    past = http.post("/v1/jobs", files=FILE, data=data | {"ready_by": "2020-01-01T00:00:00Z"})
    assert error(past) == (400, "ready_by_passed", "ready_by")
    assert len(sources(connection)) == 1


def test_an_object_of_an_allowed_bucket_becomes_a_job(settings: Settings, redis: Redis) -> None:
    open_to = open_cluster(settings.model_copy(update={"source_buckets": "talks"}))
    body = {"source": "s3://talks/2026/one.mp3", "name": "One.mp3", "options": OPTIONS}
    with TestClient(make_application(open_to), base_url=HOST) as http:
        job = http.post("/v1/jobs", json=body).json()
        assert job["name"] == "One.mp3" and job["model"] == "fake"
        refused = http.post("/v1/jobs", json=body | {"source": "s3://others/one.mp3"})
        assert error(refused) == (403, "source_not_allowed", None)
    open_to.close()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"source": "s3://b/k", "upload_id": "a" * 23}, None),
        ({"source": "s3://b/k", "surprise": 1}, "surprise"),
        ({"source": "s3://b/k\x00"}, "source"),
        ({"source": "s3://b/k", "ready_by": "soon"}, "ready_by"),
        ({"source": "s3://b/k", "ready_by": -1}, "ready_by"),
        ({"upload_id": "../../etc"}, "upload_id"),
        ({"source": "s3://b/k", "options": {"beam_size": 0}}, "options.beam_size"),
        ({"source": "s3://b/k", "options": {"known_speakers": [{}]}}, None),
        ({"source": "s3://b/k", "metadata": {str(i): "" for i in range(17)}}, "metadata"),
        ({"source": "s3://b/k", "metadata": {"k" * 65: ""}}, None),
        ({"source": "s3://b/k", "metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"source": "s3://b/k", "metadata": {"k": 1}}, "metadata.k"),
        ([], None),
    ],
)
def test_a_body_that_is_not_as_it_should_be_is_told_where(
    http: TestClient, body: Any, param: str | None
) -> None:
    status, code, found = error(http.post("/v1/jobs", json=body))
    assert (status, code) == (422, "invalid_request")
    assert param is None or found == param


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"source": "\\ud800"}',
        b'{"source": "s3://b/\xff"}',
        b'{"source": "s3://b/k", "options": {"patience": NaN}}',
        b'{"source": "s3://b/k", "options": {"patience": 1e999}}',
        b'{"source": "s3://b/k", "options": {"batch_size": ' + b"9" * 5000 + b"}}",
        b"[" * 10_000,
        b'{"source": "s3://b/k", "metadata": {"\\u0000": ""}}',
        b"null",
    ],
)
def test_what_is_hardly_json_is_refused_too(http: TestClient, body: bytes) -> None:
    reply = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert error(reply)[:2] == (422, "invalid_request")


@pytest.mark.parametrize(
    ("data", "status", "param"),
    [
        ({"options": "{"}, 422, "options"),
        ({"options": "[" * 5000}, 422, "options"),
        ({"options": '{"beam_size": "many"}'}, 422, "options.beam_size"),
        ({"metadata": '{"a": "\\ud800"}'}, 422, None),
        ({"surprise": "1"}, 422, "surprise"),
        ({"options": '{"model": "no-such-model"}'}, 404, "options.model"),
        ({"options": '{"model": "stranger/model"}'}, 400, "options.model"),
        ({"options": '{"align_model": "stranger/model"}'}, 400, "options.align_model"),
        ({"options": '{"diarize_model": "stranger/model"}'}, 400, "options.diarize_model"),
        ({"options": '{"language": "zz"}'}, 400, "options.language"),
        ({"options": '{"languages": ["de", "zz"]}'}, 400, "options.languages"),
        ({"options": '{"languages": ["de", "en"], "language": "fr"}'}, 422, "options.languages"),
        ({"options": '{"min_speakers": 3, "max_speakers": 2}'}, 422, "options"),
        ({"options": '{"num_speakers": 3, "max_speakers": 2}'}, 400, None),
        ({"webhook_url": "http://127.0.0.1/"}, 403, None),
    ],
)
def test_a_form_that_is_not_as_it_should_be_leaves_no_file_behind(
    http: TestClient,
    connection: Cluster,
    data: dict[str, str],
    status: int,
    param: str | None,
) -> None:
    found = error(http.post("/v1/jobs", files=FILE, data=data))
    assert found[0] == status
    if "metadata" not in data:  # of pydantic's own, for a key that cannot be written
        assert found[2] == param
    assert not sources(connection)


def test_a_refused_form_leaves_the_file_that_another_job_needs(
    http: TestClient, connection: Cluster
) -> None:
    submitted(http)
    http.post("/v1/jobs", files=FILE, data={"options": '{"model": "no-such-model"}'})
    assert len(sources(connection)) == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"x=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "", 415),
        (b"no boundary in it", "multipart/form-data", 400),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
         "multipart/form-data; boundary=b", 400),
    ],
)  # fmt: skip
def test_a_body_of_another_kind_is_refused(
    http: TestClient, content: bytes, kind: str, status: int
) -> None:
    reply = http.post("/v1/jobs", content=content, headers={"Content-Type": kind})
    assert error(reply)[0] == status


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\talks\\one.wav", "one.wav"),
        ("<script>.wav", "<script>.wav"),
        ("Größe 🎤.wav", "Größe 🎤.wav"),
        ("n" * 500, "n" * 255),
    ],
)
def test_a_files_name_is_for_people_only(
    http: TestClient, connection: Cluster, name: str, shown: str
) -> None:
    job = http.post("/v1/jobs", files={"file": (name, b"x")}).json()
    assert job["name"] == shown
    manifest = connection.records.manifest(TENANT, job["id"])
    assert name not in str(manifest.source.artifact)


@pytest.mark.parametrize(
    "job", ["none", "NONE", "a" * 65, "a" * 5000, "%00", "%F0%9F%8E%A4", "..%2F..", "a.b", "%ff"]
)
def test_an_odd_id_is_unknown(http: TestClient, job: str) -> None:
    for rest in ("", "/transcript", "/audio", "/events"):
        assert http.get(f"/v1/jobs/{job}{rest}").status_code == 404


def test_an_idempotency_key_stands_for_one_submission(http: TestClient) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first = submitted(http, **headers).json()
    assert submitted(http, **headers).json()["id"] == first["id"]
    other = http.post("/v1/jobs", files={"file": ("b.wav", b"other")}, headers=headers)
    assert error(other) == (409, "idempotency_conflict", None)
    for wrong in ("", " ", "with space", "k" * 256, "tab\there", "\xe4"):
        reply = http.post("/v1/jobs", files=FILE, headers={b"Idempotency-Key": wrong.encode()})
        assert error(reply) == (422, "invalid_request", "Idempotency-Key")
        assert "leave the header out" in reply.json()["error"]["message"]


def test_fifty_equal_keys_at_once_give_one_job(connection: Cluster) -> None:
    patient: dict[str, Any] = {"trust_env": False, "timeout": PATIENCE_SECONDS}
    with serving(connection) as url, httpx2.Client(base_url=url, **patient) as http:
        with ThreadPoolExecutor(25) as threads:
            keyed = {"Idempotency-Key": "once"}
            replies = list(threads.map(lambda _: submitted(http, **keyed), range(50)))
        assert Counter(reply.status_code for reply in replies) == {202: 50}
        assert len({reply.json()["id"] for reply in replies}) == 1
        assert len(http.get("/v1/jobs").json()["data"]) == 1


def test_more_jobs_than_the_quota_allows_are_told_to_wait(settings: Settings, redis: Redis) -> None:
    few = open_cluster(settings.model_copy(update={"quotas": {TENANT: {"jobs_in_flight": 2}}}))
    with TestClient(make_application(few), base_url=HOST) as http:
        assert [submitted(http).status_code for _ in range(2)] == [202, 202]
        reply = submitted(http)
        assert error(reply) == (429, "quota_exceeded", None)
        assert reply.json()["error"]["type"] == "rate_limit_error" and reply.headers["Retry-After"]
        http.post(f"/v1/jobs/{http.get('/v1/jobs').json()['data'][0]['id']}/cancel")
        assert submitted(http).status_code == 202
    few.close()


def test_a_full_cluster_says_when_to_come_again(settings: Settings, redis: Redis) -> None:
    full = open_cluster(settings.model_copy(update={"max_open_jobs": 1}))
    with TestClient(make_application(full), base_url=HOST) as http:
        assert submitted(http).status_code == 202
        reply = submitted(http)
        assert error(reply) == (503, "cluster_full", None) and reply.headers["Retry-After"]
    full.close()


def test_a_file_over_the_quota_is_refused_before_it_is_stored(
    settings: Settings, redis: Redis
) -> None:
    small = open_cluster(settings.model_copy(update={"quotas": {TENANT: {"source_bytes": 10}}}))
    with TestClient(make_application(small), base_url=HOST) as http:
        assert error(submitted(http))[:2] == (413, "audio_out_of_bounds")
        assert not sources(small)
    small.close()


def test_without_redis_nothing_is_accepted(connection: Cluster, no_redis: Redis) -> None:
    cut_off = replace(connection, redis=no_redis, jobs=JobIndex(no_redis))
    with TestClient(make_application(cut_off), base_url=HOST) as http:
        reply = submitted(http)
        assert error(reply) == (503, "redis_unavailable", None) and reply.headers["Retry-After"]
        assert http.get("/v1/jobs").json()["data"] == []
        assert error(http.get("/v1/jobs?status=queued"))[0] == 503
        assert error(http.get("/readyz"))[0] == 503
        assert http.get("/healthz").json() == {"status": "ok"}
    assert not list(connection.store.list(f"tenants/{TENANT}/jobs/"))
    assert not list(connection.store.list("open/"))


def test_jobs_are_listed_by_pages_from_the_newest(http: TestClient) -> None:
    made = [submitted(http).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        page = http.get("/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert len(page.json()["data"]) == size
        seen += [job["id"] for job in page.json()["data"]]
        cursor = page.json()["next_cursor"]
        submitted(http)  # what comes in meanwhile moves nothing
    assert seen == made[::-1] and cursor is None


def test_jobs_are_listed_by_their_status(http: TestClient, connection: Cluster) -> None:
    made = [submitted(http).json()["id"] for _ in range(7)]
    for job in made[:3]:
        http.post(f"/v1/jobs/{job}/cancel")
    run = Run(TENANT, made[3], 1)
    connection.store.put(keys.of_run(run, keys.RESULT), encode(result_record(transcript={})))
    connection.settle(run)

    def listed(**query: str | int) -> tuple[list[str], str | None]:
        page = http.get("/v1/jobs", params=query).json()
        return [job["id"] for job in page["data"]], page["next_cursor"]

    assert listed(status="canceled") == ([made[2], made[1], made[0]], None)
    assert listed(status="completed") == ([made[3]], None)
    assert listed(status="queued") == (made[:3:-1], None)
    assert listed(status="failed") == listed(status="processing") == ([], None)
    first, cursor = listed(status="canceled", limit=2)
    assert first == [made[2], made[1]] and cursor is not None
    assert listed(status="canceled", limit=2, cursor=cursor) == ([made[0]], None)
    http.post(f"/v1/jobs/{made[0]}/retry")
    assert listed(status="canceled")[0] == [made[2], made[1]]
    http.delete(f"/v1/jobs/{made[1]}")
    assert listed(status="canceled")[0] == [made[2]]


def test_without_redis_ended_jobs_are_listed_by_pages_and_by_status(
    http: TestClient, connection: Cluster, no_redis: Redis
) -> None:
    made = [submitted(http).json()["id"] for _ in range(6)][::-1]
    for job in made[1:]:
        http.post(f"/v1/jobs/{job}/cancel")
    run = Run(TENANT, made[5], 2)
    http.post(f"/v1/jobs/{made[5]}/retry")
    connection.store.put(keys.of_run(run, keys.RESULT), encode(result_record(transcript={})))
    connection.settle(run)
    cut_off = replace(connection, redis=no_redis, jobs=JobIndex(no_redis))

    def paged(own: TestClient, **query: str) -> list[tuple[str, str]]:
        found, cursor = [], None
        while True:
            given = query | ({"cursor": cursor} if cursor else {})
            page = own.get("/v1/jobs", params=given | {"limit": 2}).json()
            found += [(job["id"], job["status"]) for job in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    with TestClient(make_application(cut_off), base_url=HOST) as own:
        for query in ({}, {"status": "canceled"}, {"status": "completed"}, {"status": "failed"}):
            assert paged(own, **query) == paged(http, **query)
        assert paged(own) == [
            (made[0], "queued"),
            *((job, "canceled") for job in made[1:5]),
            (made[5], "completed"),
        ]


def test_a_page_of_a_status_may_be_short_and_not_the_last(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [submitted(http).json()["id"] for _ in range(6)]
    monkeypatch.setattr("orchestrator.api.listing.SCANNED", 4)
    short = http.get("/v1/jobs", params={"status": "processing"}).json()
    assert short["data"] == [] and short["next_cursor"]
    rest = {"status": "queued", "cursor": short["next_cursor"]}
    last = http.get("/v1/jobs", params=rest).json()
    assert [job["id"] for job in last["data"]] == [made[1], made[0]]
    assert last["next_cursor"] is None


def test_a_job_that_vanished_is_left_out_of_the_list(http: TestClient, connection: Cluster) -> None:
    kept, gone = (submitted(http).json()["id"] for _ in range(2))
    connection.redis.delete(f"scriptorium:job:{TENANT}/{gone}")
    connection.store.delete(keys.manifest(TENANT, gone))
    assert [job["id"] for job in http.get("/v1/jobs").json()["data"]] == [kept]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=!", "cursor=bmFuIHg", "cursor=a",
              "cursor=" + "a" * 300, "status=done", "cursor=%00"],
)  # fmt: skip
def test_a_listing_that_cannot_be_is_refused(http: TestClient, query: str) -> None:
    status, code, param = error(http.get(f"/v1/jobs?{query}"))
    assert (status, code, param) == (422, "invalid_request", query.partition("=")[0])


def test_a_job_is_canceled_retried_and_canceled_again(http: TestClient) -> None:
    at = submitted(http).headers["Location"]
    assert error(http.post(f"{at}/retry"))[:2] == (409, "illegal_transition")
    assert http.post(f"{at}/cancel").json()["status"] == "canceled"
    assert error(http.post(f"{at}/cancel"))[:2] == (409, "illegal_transition")
    again = http.post(f"{at}/retry")
    assert again.status_code == 202 and again.headers["Location"] == at
    assert again.json()["run"] == 2


def test_a_finished_job_is_run_again_with_other_options(
    http: TestClient, connection: Cluster
) -> None:
    at = submitted(http).headers["Location"]
    assert error(http.post(f"{at}/rerun", json={}))[:2] == (409, "illegal_transition")
    end(connection, at.rpartition("/")[2])
    reply = http.post(f"{at}/rerun", json={"options": {"beam_size": 5}})
    assert reply.status_code == 202 and reply.headers["Location"] != at
    manifest: Manifest = connection.records.manifest(TENANT, reply.json()["id"])
    assert manifest.options.beam_size == 5 and manifest.options.model == "fake"
    for name in ("beam_size", "no_such"):
        refused = error(http.post(f"{at}/rerun", json={"options": {name: 0}}))
        assert refused == (400, "invalid_option", f"options.{name}")


def test_a_deleted_job_is_gone(http: TestClient, connection: Cluster) -> None:
    at = submitted(http).headers["Location"]
    http.post(f"{at}/cancel")
    assert http.delete(at).status_code == 204
    assert error(http.get(at)) == (404, "unknown_job", None)
    assert error(http.delete(at)) == (404, "unknown_job", None)
    assert http.get("/v1/jobs").json()["data"] == [] and not sources(connection)


def test_a_failed_job_says_why(http: TestClient, connection: Cluster) -> None:
    at = submitted(http).headers["Location"]
    why = {"type": "permanent", "code": "no_audio_stream", "message": "No.", "hint": "Do."}
    run = Run(TENANT, at.rpartition("/")[2], 1)
    connection.jobs.close(run, Summary(error=why))
    job = http.get(at).json()
    assert job["status"] == "failed" and job["error"] == why


def test_a_webhook_is_taken_where_the_operator_allows_them(
    settings: Settings, redis: Redis
) -> None:
    changes = {"allow_urls": True, "webhook_key": SecretStr("0" * 32)}
    calling = open_cluster(settings.model_copy(update=changes))
    with TestClient(make_application(calling), base_url=HOST) as http:
        data = {"webhook_url": "https://example.com/done"}
        job = http.post("/v1/jobs", files=FILE, data=data).json()
        assert calling.records.manifest(TENANT, job["id"]).webhook_url == data["webhook_url"]
        inside = http.post("/v1/jobs", files=FILE, data={"webhook_url": "https://127.0.0.1/"})
        assert error(inside)[:2] == (403, "address_not_allowed")
    calling.close()


def test_jobs_are_listed_by_their_labels(http: TestClient) -> None:
    for labels in ({"team": "red"}, {"team": "red", "x": "1"}, {}):
        form = {"options": json.dumps(OPTIONS), "labels": json.dumps(labels)}
        assert http.post("/v1/jobs", files=FILE, data=form).status_code == 202
    listed = [
        [job["labels"] for job in http.get("/v1/jobs", params=params).json()["data"]]
        for params in ({"label": "team:red"}, {"label": ["team:red", "x:1"]}, {"label": "x:2"})
    ]
    assert listed == [[{"team": "red", "x": "1"}, {"team": "red"}], [{"team": "red", "x": "1"}], []]
    assert error(http.get("/v1/jobs?label=team"))[1:] == ("invalid_option", "label")
