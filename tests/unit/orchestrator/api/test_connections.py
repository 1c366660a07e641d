"""Bounds on connections before any key is known, on a real server of this process."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from orchestrator.api import connections, protocol
from orchestrator.cluster.connection import Cluster
from tests.eventually import eventually
from tests.servers.api import serving

KEY = "a-key-of-the-settings"
SHORT = 0.5  # seconds


@pytest.fixture
def guarded(connection: Cluster) -> Cluster:
    changes = {"api_key": SecretStr(KEY), "max_connections": 20, "peer_connections": 5}
    return replace(connection, settings=connection.settings.model_copy(update=changes))


@pytest.fixture
def address(guarded: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    with serving(guarded) as url:
        place = urlsplit(url)
        assert place.hostname and place.port
        yield place.hostname, place.port


def connect(address: tuple[str, int], sent: bytes = b"", source: str = "") -> socket.socket:
    client = socket.create_connection(address, 10, (source, 0) if source else None)
    client.sendall(sent)
    return client


def answered(client: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    found = bytearray()
    try:
        while piece := client.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return bytes(found)


def reply(client: socket.socket) -> bytes:
    """The next reply, whole."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = client.recv(65536)
        assert piece, found
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length, head
    while len(body) < int(length[1]):
        body += client.recv(65536)
    return head


def ask(address: tuple[str, int], path: str = "/healthz") -> int:
    url = "http://{}:{}{}".format(*address, path)
    with httpx.Client(trust_env=False, headers={"X-API-Key": KEY}, timeout=10) as http:
        return http.get(url).status_code


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"A: " + b"a" * 1000 + b"\r\n") * 50 + b"\r\n",
    ],
)
def test_a_large_head_is_refused(address: tuple[str, int], head: bytes) -> None:
    with connect(address, head) as client:
        assert answered(client).startswith(b"HTTP/1.1 431 ")
    assert ask(address) == 200


def test_a_header_without_end_is_refused_long_before_it_fills_the_memory(
    address: tuple[str, int],
) -> None:
    taken = 0
    with connect(address, b"GET / HTTP/1.1\r\nHost: x\r\nA: ") as client:
        try:
            while taken < 64_000_000:
                taken += client.send(b"a" * 16_384)
        except ConnectionError:
            pass
    assert taken < 16_000_000  # most of it is in buffers of the kernel


def test_a_trailer_is_bounded_and_changes_no_header(address: tuple[str, int]) -> None:
    body = b'{"key": "wrong"}'
    head = (
        b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(body), body)
    )
    with connect(address, head + b"X-API-Key: " + KEY.encode() + b"\r\n\r\n") as client:
        assert reply(client).startswith(b"HTTP/1.1 401 ")
    with connect(address, head + b"A: ") as client, pytest.raises(ConnectionError):
        for _ in range(2000):
            client.sendall(b"a" * 16_384)


def test_a_body_larger_than_a_head_may_be_is_taken_and_the_next_request_too(
    address: tuple[str, int],
) -> None:
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n" % KEY.encode()
    body = b'{"name": "%s"}' % (b"a" * 200_000)
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with connect(address, whole) as client:
        assert reply(client).startswith(b"HTTP/1.1 422 ")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reply(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n"])
def test_a_head_has_a_time(
    address: tuple[str, int], sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SHORT)
    began = time.monotonic()
    with connect(address, sent) as client:
        assert answered(client).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began >= SHORT


@pytest.mark.slow
def test_a_slow_body_is_cut_off_and_one_that_comes_is_not(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", SHORT)
    head = b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with connect(address, head + b"Content-Length: 900\r\n\r\n{") as client:
        assert answered(client).startswith(b"HTTP/1.1 408 ")
    monkeypatch.setattr(protocol, "BODY_SECONDS", 2.0)
    monkeypatch.setattr(protocol, "BODY_BYTES_PER_SECOND", 50)
    with connect(address, head + b"Content-Length: 1200\r\n\r\n") as client:
        for _ in range(6):  # any one of them is enough for 2 s: a busy machine is late
            client.sendall(b" " * 200)
            time.sleep(0.5)
        assert reply(client).startswith(b"HTTP/1.1 422 ")


def test_the_rest_of_a_body_that_was_refused_is_waited_for_shortly(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", SHORT)
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with connect(address, head + b"Content-Length: 90000\r\n\r\n{") as client:
        assert answered(client).startswith(b"HTTP/1.1 401 ")


def test_unfinished_requests_lock_no_one_out(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(address, b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"))
        assert [ask(address, "/v1/jobs") for _ in range(5)] == [200] * 5


def test_a_client_with_a_good_key_is_not_closed_for_others(address: tuple[str, int]) -> None:
    request = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n" % KEY.encode()
    with connect(address, request) as known, ExitStack() as stack:
        assert reply(known).startswith(b"HTTP/1.1 200 ")
        for _ in range(50):
            stack.enter_context(connect(address, b"GET"))
        known.sendall(request)
        assert reply(known).startswith(b"HTTP/1.1 200 ")


def test_when_all_have_good_keys_the_next_is_asked_to_come_again(
    address: tuple[str, int],
) -> None:
    request = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n" % KEY.encode()
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connect(address, request))
            assert reply(client).startswith(b"HTTP/1.1 200 ")
        with connect(address) as late:
            assert answered(late).startswith(b"HTTP/1.1 503 ")
    assert eventually(lambda: ask(address) == 200)


def test_one_address_has_its_own_oldest_connections_closed(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(connect(address, b"GET", source="127.0.0.3"))
        many = [stack.enter_context(connect(address, b"GET", source="127.0.0.2")) for _ in range(8)]
        for client in many[:3]:
            assert answered(client) == b""
        for client in (other, *many[3:]):
            client.sendall(b" /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reply(client).startswith(b"HTTP/1.1 200 ")


def test_many_requests_at_once_on_one_connection_are_cut_off_and_are_no_error(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    one = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(5):
        with connect(address, one * 1000) as client:
            assert answered(client).count(b"HTTP/1.1 200") <= protocol.PIPELINED + 1
    with connect(address, one * 3) as client:
        found = b""
        while found.count(b"HTTP/1.1 200") < 3:
            found += client.recv(65536)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
