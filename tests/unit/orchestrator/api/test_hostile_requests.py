"""Requests of an attack on a real server: each gets its code, and none a traceback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from orchestrator.cluster.connection import Cluster
from tests.inputs.bad_audio import tone, wav
from tests.servers.api import serving

pytestmark = pytest.mark.slow

SLOWEST_SECONDS = 30.0  # none takes a second on a core of its own
WAV = wav(tone(0.1).tobytes())
DEEP = "[" * 100_000
EVENT = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]}
HOSTILE_NAMES = (
    "../../etc/passwd", "a\nb.wav", "--help", "$(touch x)", "`x`", "x" * 5000, "concat:x|y",
    "\u202egnp.wav", "\U0001f600.wav", "a\0b.wav", "<script>alert(1)</script>.wav", 'a"; b="c.wav',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """A request, and the codes that it may be answered with."""

    label: str
    method: str
    path: str
    statuses: tuple[int, ...]
    content: dict[str, Any]


def _attack(label: str, request: str, *statuses: int, **content: Any) -> Attack:
    method, _, path = request.partition(" ")
    return Attack(label, method, path, statuses, content)


def _raw(
    label: str, body: bytes | str, status: int = 422, kind: str = "application/json"
) -> Attack:
    headers = {"Content-Type": kind}
    return _attack(label, "POST /v1/jobs", status, content=body, headers=headers)


def _job(label: str, *statuses: int, **fields: Any) -> Attack:
    return _attack(label, "POST /v1/jobs", *statuses, json=fields)


def _event(label: str, body: bytes | str, *statuses: int) -> Attack:
    secret = {"Authorization": "Bearer hook", "Content-Type": "application/json"}
    return _attack(label, "POST /v1/hooks/s3", *statuses, content=body, headers=secret)


GONE = "1a00000000000000000000f"
URL = "https://example.com/a.wav"
ATTACKS = (
    _raw("no JSON", "{"),
    _raw("nothing", b""),
    _raw("JSON 100,000 deep", DEEP),
    _raw("an object 90,000 deep", '{"options":' * 90_000),
    _raw("more than a megabyte", '{"options":' * 100_000, 413),
    _raw("half of UTF-8", b'{"url": "\xff\xfe"}'),
    _raw("half of a pair", '{"url": "\\ud800"}'),
    _raw("NaN", '{"url": "x", "options": {"chunk_seconds": NaN}}'),
    _raw("a number of 100,000 digits", '{"url": ' + "9" * 100_000 + "}"),
    _raw("a list", "[]"),
    _raw("null", "null"),
    _raw("pickle", b"\x80\x04cos\nsystem\n(S'id'\ntR.", 415, "application/x-python-serialize"),
    _raw("YAML", b"!!python/object/apply:os.system ['id']", 415, "application/x-yaml"),
    _raw("XML", b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", 415,
         "text/xml"),
    _raw("a form without a boundary", b"x", 400, "multipart/form-data"),
    _raw("a form with an endless boundary", b"x", 400,
         "multipart/form-data; boundary=" + "x" * 5000),
    _raw("a form that breaks off", b'--b\r\nContent-Disposition: form-data; name="file"', 400,
         "multipart/form-data; boundary=b"),
    _job("no source", 422),
    _job("an unknown field", 422, url=URL, admin=True),
    _job("another tenant", 422, url=URL, tenant="other"),
    _job("a file of this machine", 403, 422, url="file:///etc/passwd"),
    _job("a path", 403, 422, url="/etc/passwd"),
    _job("gopher", 403, 422, url="gopher://127.0.0.1/"),
    _job("the cloud's own address", 403, 422, url="http://169.254.169.254/latest/meta-data"),
    _job("this machine", 403, 422, url="http://127.0.0.1:6379/"),
    _job("a bucket that is not allowed", 403, 422, url="s3://other/a.wav"),
    _job("a name and a password", 403, 422, url="https://u:canary@example.com/a.wav"),
    _job("an address of 100,000 bytes", 422, url="https://example.com/" + "x" * 100_000),
    _job("an upload that is not there", 404, 422, upload_id="../../other"),
    _job("a model with a path", 403, 404, 422, url=URL, options={"model": "../../etc"}),
    _job("options that are a list", 422, url=URL, options=[]),
    _job("an endless option", 422, url=URL, options={"chunk_seconds": 1e308}),
    _job("a negative option", 422, url=URL, options={"chunk_seconds": -1}),
    _job("a prototype", 422, url=URL, options={"__proto__": {"x": 1}}),
    _job("metadata of a megabyte", 413, 422, url=URL, metadata={"x": "y" * 1_000_000}),
    _job("a webhook inside", 403, 422, url=URL, webhook_url="http://127.0.0.1:1/"),
    _attack("a job of a path", "GET /v1/jobs/..%2f..%2fetc", 404),
    _attack("a job that is not there", f"GET /v1/jobs/{GONE}", 404),
    _attack("a job with a zero byte", "GET /v1/jobs/a%00b", 404),
    _attack("a job of 5,000 letters", "GET /v1/jobs/" + "x" * 5000, 404),
    _attack("a job in half of UTF-8", "GET /v1/jobs/%ff%fe", 404),
    _attack("a file of the page's", "GET /page/..%2f..%2f..%2fetc%2fpasswd", 404),
    _attack("an unknown format", f"GET /v1/jobs/{GONE}/transcript?format=exe", 404, 422),
    _attack("minus one job", "GET /v1/jobs?limit=-1", 422),
    _attack("2**64 jobs", f"GET /v1/jobs?limit={2**64}", 422),
    _attack("a false cursor", "GET /v1/jobs?cursor=%00%ff", 422, 200, 400),
    _attack("a method that is none", "TRACE /v1/jobs", 405),
    _attack("an upload of a negative size", "POST /v1/uploads", 422,
            json={"name": "a", "size": -1}),
    _attack("an upload of 2**63", "POST /v1/uploads", 403, 413, 422,
            json={"name": "a", "size": 2**63}),
    _attack("an upload to a path", "PUT /v1/uploads/..%2f..%2fx", 404, content=b"x"),
    _attack("an upload to nowhere", f"PUT /v1/uploads/{GONE}", 404, content=b"x"),
    _attack("a key of 10,000 letters", "POST /v1/jobs", 400, 422, json={"url": URL},
            headers={"Idempotency-Key": "x" * 10_000}),
    _event("an event that is no JSON", "{", 400),
    _event("an event 100,000 deep", DEEP, 400),
    _event("an event without an object", json.dumps(EVENT), 200, 400),
    _event("an event of another bucket", json.dumps({"Records": [{"eventSource": "aws:s3",
           "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "other"},
           "object": {"key": "../../x", "size": -1}}}]}), 200),
    _event("an event that is a number", "7", 400, 200),
    _event("an event in half of UTF-8", b"\xff\xfe{", 400),
    _attack("an event without the secret", "POST /v1/hooks/s3", 401, json=EVENT),
    *(
        _attack(f"a file named {name[:16]!r}", "POST /v1/jobs", 202, 400, 422,
                files={"file": (name, WAV, "audio/wav")}, data={"options": '{"model":"fake"}'})
        for name in HOSTILE_NAMES
    ),
)  # fmt: skip
LINES = (
    b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"\0" * 1000 + b"\r\n\r\n",
    b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
)


@pytest.fixture
def cluster(connection: Cluster, tmp_path: Path) -> Cluster:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nbucket = "recordings"\n')
    changes = {
        "hooks_secret": SecretStr("hook"), "trigger_rules": rules, "allow_urls": True,
        "webhook_key": SecretStr("0" * 32),
    }  # fmt: skip
    return replace(connection, settings=connection.settings.model_copy(update=changes))


@pytest.fixture
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    secret, _ = ApiKeys(cluster.store, cluster.settings).create("default", "test", EVERY_SCOPE)
    with (
        serving(cluster) as url,
        httpx.Client(
            base_url=url, timeout=SLOWEST_SECONDS, headers={"Authorization": f"Bearer {secret}"}
        ) as client,
    ):
        yield client


def test_every_hostile_request_gets_its_code(
    http: httpx.Client, record_property: Callable[[str, object], None]
) -> None:
    wrong = []
    for attack in ATTACKS:
        reply = http.request(attack.method, attack.path, **attack.content)
        text = reply.text
        told = reply.status_code not in attack.statuses or "Traceback" in text or "canary" in text
        if reply.status_code >= 400 and attack.method != "HEAD":
            told = told or not reply.json()["error"]["message"]
        if told:
            wrong.append(f"{attack.label}: {reply.status_code} {text[:200]}")
    figure = f"{len(ATTACKS)} hostile requests, {len(wrong)} answered otherwise than they should"
    print(figure)
    record_property("figure", figure)
    assert wrong == []


def test_no_line_of_noise_ends_the_server(http: httpx.Client) -> None:
    place = urlsplit(str(http.base_url))
    for line in LINES:
        with socket.create_connection((place.hostname, place.port), SLOWEST_SECONDS) as raw:
            raw.sendall(line)
            raw.shutdown(socket.SHUT_WR)
            reply = b""
            try:
                while part := raw.recv(65536):
                    reply += part
            except ConnectionResetError:  # it has not read the rest
                pass
        assert b"Traceback" not in reply
        assert not reply or reply.startswith(b"HTTP/1.1 4"), reply[:100]
    assert http.get("/healthz").status_code == 200
