"""A web address becomes a file, or an error that says what to do."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpcore
import pytest

from gpu_worker.errors import (
    AudioOutOfBounds,
    ScriptoriumError,
    SourceMissing,
    SourceTooSlow,
    SourceUnavailable,
)
from tasks.web.addresses import AddressNotAllowed, AddressPolicy
from tasks.web.downloads import download
from tasks.web.outbound import HostUnknown
from tests.eventually import PATIENCE_SECONDS
from tests.servers.web import Answer, body, silence, web_server

POLICY = AddressPolicy.of("127.0.0.1,[::1],store.example")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "source"


def failure(answer: Answer, target: Path, **options: Any) -> ScriptoriumError:
    """What an answer leads to; no part of a file may be left."""
    with web_server(answer) as server, pytest.raises(ScriptoriumError) as error:
        download(server.url(), target, POLICY, **({"max_bytes": 10_000} | options))
    assert list(target.parent.iterdir()) == []
    return error.value


def test_the_answer_s_bytes_are_the_file(target: Path) -> None:
    data = bytes(range(256)) * 20_000
    with web_server(body(data)) as server:
        download(server.url("/a b.wav?token=x"), target, POLICY, max_bytes=len(data))
    assert target.read_bytes() == data
    ((command, path, headers),) = server.requests
    assert (command, path) == ("GET", "/a%20b.wav?token=x")
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("scriptorium/")
    assert "Authorization" not in headers and "Cookie" not in headers


def test_an_answer_without_a_length_is_read_to_its_end(target: Path) -> None:
    def chunked(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    with web_server(chunked) as server:
        download(server.url(), target, POLICY, max_bytes=11)
    assert target.read_bytes() == b"hello world"


def test_packed_bytes_are_not_unpacked(target: Path) -> None:
    with web_server(body(b"not gzip", Content_Encoding="gzip")) as server:
        download(server.url(), target, POLICY, max_bytes=100)
    assert target.read_bytes() == b"not gzip"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, SourceMissing),
        (206, SourceMissing),
        (401, SourceMissing),
        (403, SourceMissing),
        (404, SourceMissing),
        (410, SourceMissing),
        (408, SourceUnavailable),
        (429, SourceUnavailable),
        (500, SourceUnavailable),
        (503, SourceUnavailable),
    ],
)
def test_a_status_says_whether_another_try_may_help(
    status: int, kind: type[ScriptoriumError], target: Path
) -> None:
    error = failure(body(b"", status), target)
    assert type(error) is kind
    assert str(status) in error.message


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_refused_wherever_it_leads(status: int, target: Path) -> None:
    with web_server(body(b"secret")) as canary:
        error = failure(body(b"", status, Location=canary.url()), target)
    assert isinstance(error, AddressNotAllowed)
    assert "redirect" in error.message and "Give the address" in error.advice
    assert not canary.connections


def test_a_file_that_says_it_is_too_large_is_not_fetched(target: Path) -> None:
    error = failure(body(b"", Content_Length="10001"), target)
    assert isinstance(error, AudioOutOfBounds) and "10001" in error.message


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(100_000))


def test_an_endless_file_ends_with_the_bytes_that_are_accepted(target: Path) -> None:
    error = failure(endless, target, max_bytes=1_000_000)
    assert isinstance(error, AudioOutOfBounds)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def test_a_server_that_drips_is_given_up_for_good(target: Path) -> None:
    started = time.monotonic()
    error = failure(drip, target, total_seconds=0.3)
    assert isinstance(error, SourceTooSlow)
    assert time.monotonic() - started < PATIENCE_SECONDS  # the answer takes 100 s


def test_a_server_that_falls_silent_may_be_tried_again(target: Path) -> None:
    error = failure(silence, target, silent_seconds=0.1)
    assert isinstance(error, SourceUnavailable)
    assert error.message.endswith(".")


def test_a_file_that_is_cut_off_is_not_taken_for_a_whole_one(target: Path) -> None:
    error = failure(body(b"x" * 10, Content_Length="20"), target, silent_seconds=0.2)
    assert isinstance(error, SourceUnavailable)


def test_what_is_no_http_may_be_tried_again(target: Path) -> None:
    def mail(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"* OK IMAP ready\r\n\r\n")

    assert isinstance(failure(mail, target), SourceUnavailable)


def test_a_server_that_is_not_there_may_be_tried_again(target: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be read now"):
        download("http://127.0.0.1:1/a", target, POLICY, max_bytes=1)


def test_a_host_that_nobody_knows_is_missing(target: Path) -> None:
    def unknown(host: str, _: int) -> list[str]:
        raise HostUnknown(host)

    def unreachable(host: str, _: int) -> list[str]:
        raise httpcore.ConnectError(host)

    with pytest.raises(SourceMissing, match=r"no host named 'store\.example'"):
        download("https://store.example/a", target, POLICY, max_bytes=1, resolve=unknown)
    with pytest.raises(SourceUnavailable):
        download("https://store.example/a", target, POLICY, max_bytes=1, resolve=unreachable)


def test_an_address_that_is_not_allowed_is_not_asked(target: Path) -> None:
    with web_server(body(b"secret")) as canary, pytest.raises(AddressNotAllowed):
        download(canary.url(), target, AddressPolicy(), max_bytes=10)
    assert not canary.connections and not target.exists()
