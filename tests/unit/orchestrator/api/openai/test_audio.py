"""OpenAI's audio routes over HTTP; the jobs' tasks run in a thread of the test."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from redis import Redis
from redis.exceptions import RedisError
from starlette.formparsers import MultiPartParser

from config.settings import Settings
from gpu_worker.errors import DiskFull, StoreUnavailable, UnreadableAudio
from gpu_worker.transcript import (
    Segment,
    Transcript,
    TranscriptWarning,
    segment_to_json,
    transcript_to_json,
)
from orchestrator.access import Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.api import forms
from orchestrator.api.application import make_application
from orchestrator.api.forms import upload_form
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.events import Event
from orchestrator.events.hub import TooManyWatchers
from orchestrator.jobs.runs import cancel
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt
from tests.eventually import eventually
from tests.inputs.bad_audio import tone, wav
from tests.inputs.examples import TENANT
from tests.servers.api import serving
from tests.unit.orchestrator.jobs.lost_source import lose_source_once

HOST = "http://127.0.0.1"
TALK = Transcript("en", 4.0, (Segment(0, 1, "hello peter"), Segment(1, 2, "good morning")))
SILENCE = wav(bytes(32_000))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"model": "fake"})


@pytest.fixture
def application(connection: Cluster) -> FastAPI:
    return make_application(connection)


@pytest.fixture
def http(application: FastAPI) -> Iterator[TestClient]:
    with TestClient(application, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def worker(connection: Cluster) -> Iterator[None]:
    with working(connection, transcript=transcript_to_json(TALK)):
        yield


@contextmanager
def working(connection: Cluster, **result: Any) -> Iterator[None]:
    """Each job that is submitted ends with this result, as if workers had published it."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(0.02):
            for key in list(connection.store.list(keys.jobs(TENANT))):
                if key.endswith("manifest.json"):
                    manifest = json.loads(connection.store.get(key))
                    publish(connection, manifest["job"], **result)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def publish(connection: Cluster, job: str, **result: Any) -> None:
    unit = Run(TENANT, job, 1).unit(Stage.ASSEMBLE)
    if connection.jobs.find(TENANT, job) and connection.store.put(
        keys.of_run(unit.run, keys.RESULT), encode(result_record(**result))
    ):
        connection.ledger.record(unit, Receipt("computed"))


def post(http: TestClient, audio: bytes = SILENCE, to: str = "transcriptions", **data: Any) -> Any:
    fields = {"model": "whisper-1", "language": "en", "aligner": "cross_attention", **data}
    headers = fields.pop("headers", {})
    fields = {name: value for name, value in fields.items() if value is not None}
    return http.post(
        f"/v1/audio/{to}", data=fields, files={"file": ("talk.wav", audio)}, headers=headers
    )


def error(reply: httpx2.Response) -> dict[str, Any]:
    found: dict[str, Any] = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


def events(reply: httpx2.Response) -> list[dict[str, Any]]:
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = reply.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_a_file_becomes_a_job_and_its_text(
    http: TestClient, worker: None, connection: Cluster
) -> None:
    reply = post(http)
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/json"
    job = connection.job(TENANT, reply.headers["X-Scriptorium-Job"])
    assert (job.status, job.name, job.model) == ("completed", "talk.wav", "fake")
    assert reply.json()["text"] == "hello peter good morning"

    subtitles = post(http, response_format="srt")
    assert subtitles.headers["content-type"] == "application/x-subrip; charset=utf-8"
    assert subtitles.text.startswith("1\n")
    verbose = post(http, to="translations", response_format="verbose_json").json()
    assert (verbose["task"], verbose["language"]) == ("translate", "english")


def test_a_job_with_a_span_missing_gives_what_there_is(
    http: TestClient, connection: Cluster
) -> None:
    lost = TranscriptWarning("missing_span", "It was not transcribed.", 2.0, 4.0)
    transcript = transcript_to_json(replace(TALK, warnings=(lost,)))
    missing = [{"start": 2.0, "end": 4.0, "code": "chunk_crashed", "message": "It crashed."}]
    with working(connection, transcript=transcript, missing=missing):
        reply = post(http)
    assert reply.status_code == 200
    assert reply.json()["warnings"][0]["code"] == "missing_span"


def test_a_stream_tells_segments_as_they_come(
    http: TestClient, application: FastAPI, worker: None
) -> None:
    async def told(tenant: str, job: str) -> AsyncIterator[Event]:
        segments = [segment_to_json(segment) for segment in TALK.segments]
        yield Event("1.0", "job", "{}")
        for chunk in range(2):
            data = {"chunk": chunk, "segments": segments[chunk : chunk + 1]}
            yield Event(f"1.end.{chunk}", "segments", json.dumps(data))

    application.state.hub.events = told
    *deltas, done = events(post(http, stream="true"))
    assert [event["delta"] for event in deltas] == ["hello peter", " good morning"]
    assert done["text"] == TALK.text


def test_a_stream_that_cannot_be_watched_is_told_at_its_end(
    http: TestClient, application: FastAPI, worker: None
) -> None:
    async def refuse(*_: object) -> None:
        raise TooManyWatchers()

    application.state.hub.open = refuse
    delta, done = events(post(http, stream="true"))
    assert delta["delta"] == done["text"] == TALK.text


def test_a_job_that_fails_is_told_in_its_own_words(http: TestClient, connection: Cluster) -> None:
    with working(connection, error=UnreadableAudio().to_json()):
        reply = post(http)
        (streamed,) = events(post(http, stream="true"))
    assert reply.status_code == 400
    assert error(reply)["code"] == "unreadable_audio"
    assert reply.headers["X-Scriptorium-Job"]
    assert streamed["error"] == error(reply)


def test_a_canceled_job_is_not_tried_again(
    http: TestClient, connection: Cluster, settings: Settings
) -> None:
    def cancel_it() -> None:
        with working_connection(settings) as own:
            while not own.jobs.newest(TENANT, 1):
                time.sleep(0.02)
            ((_, name),) = own.jobs.newest(TENANT, 1)
            time.sleep(0.2)
            cancel(own, TENANT, name)

    thread = threading.Thread(target=cancel_it)
    thread.start()
    reply = post(http)
    thread.join()
    assert (reply.status_code, error(reply)["code"]) == (409, "canceled")
    assert reply.headers["x-should-retry"] == "false"


@contextmanager
def working_connection(settings: Settings) -> Iterator[Cluster]:
    opened = open_cluster(settings)
    try:
        yield opened
    finally:
        opened.close()


def test_what_cannot_be_read_afterwards_is_an_error_that_names_the_job(
    http: TestClient, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fault: Exception) -> None:
        def outcome(*_: object) -> None:
            raise fault

        monkeypatch.setattr("orchestrator.api.openai.audio._outcome", outcome)

    refuse(StoreUnavailable())
    reply = post(http)
    assert (reply.status_code, error(reply)["code"]) == (503, "store_unavailable")
    assert reply.headers["X-Scriptorium-Job"]
    (streamed,) = events(post(http, stream="true"))
    assert streamed["error"]["code"] == "store_unavailable"
    refuse(RedisError("gone"))
    (streamed,) = events(post(http, stream="true"))
    assert streamed["error"]["code"] == "redis_unavailable"


def test_one_idempotency_key_is_one_job(http: TestClient, worker: None) -> None:
    first, again = (post(http, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert first.headers["X-Scriptorium-Job"] == again.headers["X-Scriptorium-Job"]
    other = post(http, headers={"Idempotency-Key": "a"}, temperature="0.5")
    assert (other.status_code, error(other)["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("to", ["transcriptions", "translations"])
@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256])
def test_an_empty_idempotency_key_is_refused_and_shared_by_none(
    http: TestClient, connection: Cluster, to: str, key: str
) -> None:
    refused = post(http, to=to, headers={"Idempotency-Key": key})
    assert (refused.status_code, error(refused)["param"]) == (422, "Idempotency-Key")
    assert "leave the header out" in error(refused)["message"]
    assert not list(connection.store.list(f"tenants/{TENANT}/"))


def test_known_voices_are_kept_beside_the_file(
    http: TestClient, worker: None, connection: Cluster
) -> None:
    clip = wav(tone().tobytes())
    voices: dict[str, Any] = {
        "known_speaker_names[]": ["anna"],
        "known_speaker_references[]": [f"data:audio/wav;base64,{b64encode(clip).decode()}"],
        "diarize": "false",
    }
    reply = post(http, **voices)
    assert reply.status_code == 200
    options = connection.records.manifest(TENANT, reply.headers["X-Scriptorium-Job"]).options
    (known,) = options.known_speakers
    assert known.name == "anna"
    assert connection.store.get(keys.source(TENANT, known.clip)) == clip


def test_a_file_that_goes_with_another_job_before_it_is_claimed_is_put_again(
    http: TestClient, worker: None, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed_by = lose_source_once(monkeypatch)
    reply = post(http)
    assert (reply.status_code, reply.json()["text"]) == (200, "hello peter good morning")
    assert len(claimed_by) == 2


def test_what_is_refused_leaves_nothing_behind(http: TestClient, connection: Cluster) -> None:
    voices: dict[str, Any] = {
        "known_speaker_names[]": ["anna", "anna"],
        "known_speaker_references[]": ["data:,a", "data:,b"],
    }
    assert error(post(http, **voices))["param"] == "known_speaker_names"
    assert error(post(http, model="gpt-7"))["code"] == "unknown_model"
    assert not list(connection.store.list(keys.source(TENANT, "")))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "7"}, "temperature"),
        ({"colour": "red"}, "colour"),
        ({"include[]": "logprobs"}, "include"),
        ({"model": None}, "model"),
        ({"stream": "\x00"}, "stream"),
        ({"language": "zz"}, "language"),
        ({"align_model": "stranger/model"}, "align_model"),
    ],
)
def test_a_wrong_field_is_a_400_that_names_it(
    http: TestClient, fields: dict[str, Any], param: str
) -> None:
    reply = post(http, **fields)
    assert (reply.status_code, error(reply)["param"]) == (400, param)


def test_keys_and_scopes_are_asked_for(connection: Cluster, settings: Settings) -> None:
    stores = ApiKeys(connection.store, settings)
    reader, _ = stores.create(TENANT, "reader", frozenset({Scope.READ}))
    with TestClient(make_application(connection), base_url=HOST) as http:
        assert post(http).status_code == 401
        assert post(http, headers={"X-API-Key": "wrong"}).status_code == 401
        refused = post(http, headers={"Authorization": f"Bearer {reader}"})
        assert (refused.status_code, error(refused)["code"]) == (403, "not_allowed")
        listed = http.get("/v1/models", headers={"Authorization": f"Bearer {reader}"})
        assert listed.status_code == 200


def test_jobs_in_flight_are_limited(connection: Cluster, settings: Settings) -> None:
    few = settings.model_copy(update={"quotas": {TENANT: {"jobs_in_flight": 0}}})
    with working_connection(few) as own, TestClient(make_application(own), base_url=HOST) as http:
        reply = post(http)
    assert (reply.status_code, error(reply)["type"]) == (429, "rate_limit_error")
    assert reply.headers["Retry-After"]


def test_a_file_that_is_too_large_is_refused(settings: Settings, redis: Redis) -> None:
    small = settings.model_copy(update={"quotas": {TENANT: {"source_bytes": 100}}})
    with working_connection(small) as own, TestClient(make_application(own), base_url=HOST) as http:
        reply = post(http)
        assert (reply.status_code, error(reply)["code"]) == (413, "audio_out_of_bounds")


def test_a_body_that_is_too_large_is_not_read(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "FORM_TEXT_BYTES", 100)
    small = settings.model_copy(update={"quotas": {TENANT: {"source_bytes": 100}}})
    with working_connection(small) as own, TestClient(make_application(own), base_url=HOST) as http:
        reply = post(http)
        assert (reply.status_code, error(reply)["code"]) == (413, "body_too_large")


def test_voices_that_are_too_large_together_are_refused(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "FORM_TEXT_BYTES", 10_000)
    reply = post(http, prompt="x" * 9_000, hotwords="x" * 9_000)
    assert reply.status_code == 400
    assert "besides the file are too large" in error(reply)["message"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EIO, OSError)])
def test_a_full_disk_says_so(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    async def full(_: object) -> None:
        raise OSError(number, "no")

    async def read() -> None:
        kind = (b"content-type", b"multipart/form-data; boundary=a")
        async with upload_form(Request({"type": "http", "headers": [kind]}), 100):
            pass

    monkeypatch.setattr(MultiPartParser, "parse", full)
    with pytest.raises(kind):
        asyncio.run(read())


BROKEN = [
    (None, b""),
    ("text/plain", b"hello"),
    ("application/json", b"{}"),
    ("multipart/form-data", b"--a\r\n"),
    ("multipart/form-data; boundary=", b"--a\r\n"),
    ("multipart/form-data; boundary=a", b"nothing of the kind"),
    ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--"),
    ('multipart/form-data; boundary="a\\"b"', b'--a"b\r\n\r\nx\r\n--a"b--'),
    (f"multipart/form-data; boundary={'a' * 5000}", b""),
    ("multipart/form-data; boundary=a; charset=idna", b"--a--"),
    (
        "multipart/form-data; boundary=a; charset=unicode_escape",
        b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\n\\ud800\r\n--a--\r\n',
    ),
    (
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="x\x00"; filename="\xff\x00"\r\n\r\n'
        b"\xed\xa0\x80\r\n--a--\r\n",
    ),
]


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
@pytest.mark.parametrize(("kind", "content"), BROKEN)
def test_what_is_no_form_is_refused(
    http: TestClient, path: str, kind: str | None, content: bytes
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    reply = http.post(f"/v1/audio/{path}", content=content, headers=headers)
    assert reply.status_code == 400, reply.text
    assert error(reply)["message"]


@pytest.mark.slow
def test_odd_names_of_files_are_harmless(
    http: TestClient, worker: None, connection: Cluster
) -> None:
    for name in ("../../etc/passwd", "a\x00b", "\u202egnp.exe", "x" * 1000, "concat:a"):
        content = (
            f'--a\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        ).encode() + SILENCE
        content += b'\r\n--a\r\nContent-Disposition: form-data; name="model"\r\n\r\nfake\r\n--a--'
        reply = http.post(
            "/v1/audio/transcriptions",
            content=content,
            headers={"Content-Type": "multipart/form-data; boundary=a"},
        )
        assert reply.status_code == 200, reply.text
        shown = connection.job(TENANT, reply.headers["X-Scriptorium-Job"]).name
        assert shown.isprintable() and "/" not in shown and len(shown) <= 255


def test_the_document_describes_the_form_and_every_reply(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    route = document["paths"]["/v1/audio/transcriptions"]["post"]
    form = route["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file", "model"] and not form["additionalProperties"]
    assert {"chunk_seconds", "hotwords", "response_format"} <= set(form["properties"])
    assert form["properties"]["beam_size"]["maximum"] == 20
    assert "anyOf" not in json.dumps(form) and "$ref" not in json.dumps(form)
    kinds = route["responses"]["200"]["content"]
    assert set(kinds) == {
        "application/json", "application/x-subrip", "text/event-stream", "text/plain", "text/vtt",
    }  # fmt: skip
    assert "anyOf" in kinds["application/json"]["schema"]
    for status in ("400", "401", "403", "404", "413", "422", "429", "503"):
        schema = route["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorReply"}


@pytest.mark.slow
def test_a_client_that_leaves_is_not_waited_for(
    connection: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Its job goes on."""
    with serving(connection) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{address}/v1/audio/transcriptions",
                data={"model": "fake"},
                files={"file": ("a.wav", SILENCE)},
                timeout=5.0,
            )
        assert eventually(lambda: bool(connection.jobs.newest(TENANT, 1)))  # a busy machine is late
    ((_, name),) = connection.jobs.newest(TENANT, 1)
    assert not connection.job(TENANT, name).status.final
    assert not caplog.records
