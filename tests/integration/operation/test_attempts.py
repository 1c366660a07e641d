"""The list of attempts against a whole cluster over HTTP: nothing comes in, nothing gets out."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import SecretStr

from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from tests import attempts
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest, quick_settings
from tests.servers.api import serving
from tests.servers.web import WebServer, body, web_server

BUCKET, KEY, GOOD = "open", "a-key-for-the-tests", "in/talk.wav"
SECRET = "the canary was heard"  # what is served on loopback
OUR_OWN = ("root:x:", "[build-system]", "import annotations", SECRET)  # in no reply

Reply = tuple[int, dict[str, str], str]


class Api:
    """Requests as they are, byte by byte: no client tidies their paths."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, data: bytes = b"", kind: str = "") -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind or "application/json"}
        try:
            connection.request(method, path, data or None, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return answer.status, dict(answer.getheaders()), text
        finally:
            connection.close()

    def post(self, path: str, **fields: Any) -> Reply:
        return self.ask("POST", path, json.dumps(fields).encode())


@pytest.fixture(scope="module")
def canary() -> Iterator[WebServer]:
    with web_server(body(SECRET.encode())) as server:
        yield server


@pytest.fixture(scope="module")
def front(canary: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server that may be fetched from; it has one good file, and sends everybody else inside."""
    path = write_wav(tmp_path_factory.mktemp("front") / "talk.wav", recording(5)[0])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        number = handler.path.removeprefix("/redirect/")
        if number.isdigit():
            target = filled(attempts.REDIRECTS[int(number)], canary)
            body(b"", 302, Location=target)(handler)
        else:
            body(path.read_bytes())(handler)

    with web_server(answer) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(
    front: WebServer,
    tmp_path_factory: pytest.TempPathFactory,
    s3_endpoint: str,
    s3_shared_client: Any,
) -> Iterator[ClusterUnderTest]:
    """It may fetch all that can be allowed; its store is in a bucket that tenants may name."""
    s3_shared_client.create_bucket(Bucket=BUCKET)
    path = write_wav(tmp_path_factory.mktemp("bucket") / "talk.wav", recording(5)[0])
    s3_shared_client.upload_file(str(path), BUCKET, GOOD)
    s3_shared_client.put_object(Bucket=BUCKET, Key="own/tenants/other/sources/0000", Body=b"theirs")
    settings = quick_settings(
        tmp_path_factory.mktemp("cluster"),
        api_key=SecretStr(KEY),
        webhook_key=SecretStr("a key for webhooks"),
        allow_urls=True,
        trusted_hosts=f"127.0.0.1:{front.port}",
        source_buckets=BUCKET,
        store_url=f"s3://{BUCKET}/own",
        s3_endpoint_url=s3_endpoint,
        max_retries=1,
    )
    with ClusterUnderTest(settings, 2, plugins=("tests.faults.lying_dns",)) as started:
        yield started


@pytest.fixture(scope="module")
def api(cluster: ClusterUnderTest) -> Iterator[Api]:
    with serving(cluster.connection) as address:
        yield Api(int(address.rpartition(":")[2]))


@pytest.fixture(autouse=True)
def nobody_was_reached(canary: WebServer, s3_shared_client: Any) -> Iterator[None]:
    """After every test: no process spoke to the canary, and nothing lies where it should not."""
    yield
    assert not canary.connections
    listed = s3_shared_client.list_objects_v2(Bucket=BUCKET, Delimiter="/")
    assert {entry["Prefix"] for entry in listed.get("CommonPrefixes", ())} == {"in/", "own/"}
    assert not listed.get("Contents")


def filled(attempt: str, canary: WebServer) -> str:
    return attempt.replace("{port}", str(canary.port)).replace("{bucket}", BUCKET)


def options() -> dict[str, Any]:
    return {"model": "fake", "language": "en", "aligner": "cross_attention"}


def ended(cluster: ClusterUnderTest, jobs: list[str]) -> list[Job]:
    """The jobs at their ends."""
    last = {job.id: job for job in follow(cluster.connection, TENANT, jobs)}
    return [last[job] for job in jobs]


def through(replies: dict[str, Reply]) -> dict[str, Reply]:
    """Those that were not refused by a 4xx with a code, or that say what no client should read."""
    return {ascii(attempt): reply for attempt, reply in replies.items() if not is_refusal(reply)}


def is_refusal(reply: Reply) -> bool:
    status, headers, text = reply
    if status == 307 and not text:  # a slash too many; the path without it is in the list too
        return headers["location"].startswith("http://127.0.0.1:")
    if not 400 <= status < 500 or any(own in text for own in OUR_OWN):
        return False
    try:
        return {"message", "type", "param", "code"} == set(json.loads(text)["error"])
    except ValueError:
        return status == 400 and text == "Invalid HTTP request received."  # before our code


def test_what_may_be_fetched_is_transcribed(
    cluster: ClusterUnderTest, api: Api, front: WebServer
) -> None:
    jobs = []
    for source in (front.url("/talk.wav"), f"s3://{BUCKET}/{GOOD}"):
        status, _, text = api.post("/v1/jobs", source=source, options=options())
        assert status == 202, text
        jobs.append(json.loads(text)["id"])
    assert [(job.status, job.name) for job in ended(cluster, jobs)] == [
        ("completed", "talk.wav")
    ] * 2


def test_no_source_of_the_list_is_accepted(api: Api, canary: WebServer) -> None:
    tried = attempts.WEB + attempts.OBJECTS
    replies = {
        attempt: api.post("/v1/jobs", source=filled(attempt, canary), options=options())
        for attempt in tried
    }
    assert not through(replies)


def test_no_webhook_of_the_list_is_accepted(api: Api, canary: WebServer) -> None:
    source = f"s3://{BUCKET}/{GOOD}"
    replies = {
        attempt: api.post(
            "/v1/jobs", source=source, webhook_url=filled(attempt, canary), options=options()
        )
        for attempt in attempts.WEB
    }
    assert not through(replies)


def test_a_name_that_leads_inside_fails_its_job(cluster: ClusterUnderTest, api: Api) -> None:
    jobs = []
    for address in attempts.NAMED:
        status, _, text = api.post("/v1/jobs", source=address, options=options())
        assert status == 202, text  # DNS is not asked while a client waits
        jobs.append(json.loads(text)["id"])
    for job in ended(cluster, jobs):
        assert job.status == "failed" and job.error is not None
        assert job.error["code"] == "address_not_allowed", job.error


def test_a_redirect_fails_its_job(cluster: ClusterUnderTest, api: Api, front: WebServer) -> None:
    before, jobs = len(front.requests), []
    for number in range(len(attempts.REDIRECTS)):
        source = front.url(f"/redirect/{number}")
        status, _, text = api.post("/v1/jobs", source=source, options=options())
        assert status == 202, text
        jobs.append(json.loads(text)["id"])
    for job in ended(cluster, jobs):
        assert job.error is not None and job.error["code"] == "address_not_allowed"
        assert "redirect" in job.error["message"]
    assert len(front.requests) == before + len(jobs)


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "/v1/jobs/{id}"),
        ("DELETE", "/v1/jobs/{id}"),
        ("POST", "/v1/jobs/{id}/cancel"),
        ("GET", "/v1/jobs/{id}/transcript?format=txt"),
        ("GET", "/v1/jobs/{id}/audio"),
        ("GET", "/v1/jobs/{id}/events"),
        ("GET", "/v1/jobs/{id}/speakers"),
        ("GET", "/v1/jobs/{id}/corrections"),
        ("PUT", "/v1/uploads/{id}"),
        ("DELETE", "/v1/admin/keys/{id}"),
        ("GET", "/page/{id}"),
    ],
)
def test_no_path_leads_out(api: Api, method: str, route: str) -> None:
    replies = {
        path: api.ask(method, path, b"x" * 5 if method == "PUT" else b"")
        for path in (route.replace("{id}", attempt) for attempt in attempts.IDS)
    }
    assert not through(replies)


def test_no_file_besides_the_page_s_is_served(api: Api) -> None:
    assert not through({path: api.ask("GET", path) for path in attempts.PATHS})


def test_no_upload_id_leads_out(api: Api) -> None:
    tried = {unquote(attempt) for attempt in attempts.IDS} | set(attempts.IDS)
    assert not through({attempt: api.post("/v1/jobs", upload_id=attempt) for attempt in tried})


def test_a_file_name_is_never_a_path(
    cluster: ClusterUnderTest, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = "multipart/form-data; boundary=b"
    jobs = []
    for name in attempts.FILE_NAMES:
        part = f'Content-Disposition: form-data; name="file"; filename="{name}"'.encode()
        form = b"--b\r\n" + part + b"\r\n\r\nnot audio\r\n--b--\r\n"
        status, _, text = api.ask("POST", "/v1/jobs", form, kind)
        if status != 202:
            assert is_refusal((status, {}, text)), (name, text)
            continue
        jobs.append(json.loads(text)["id"])
        shown = json.loads(text)["name"]
        assert shown.isprintable() and "/" not in shown and shown not in (".", "..")
    assert {job.status for job in ended(cluster, jobs)} == {"failed"}
    for name in attempts.FILE_NAMES:
        status, _, text = api.post("/v1/uploads", name=name, size=5)
        assert status == 201 or is_refusal((status, {}, text)), (name, text)
        assert "escaped" not in text
    assert not list(tmp_path_factory.getbasetemp().rglob("*escaped*"))
    for place in (Path.cwd(), Path(gettempdir())):
        assert not list(place.glob("*escaped*"))
