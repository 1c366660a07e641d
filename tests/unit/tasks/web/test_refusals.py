"""None of the attempts of the list gets past the guard, and no server inside hears of them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpcore
import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ScriptoriumError
from orchestrator.access import SourceNotAllowed
from orchestrator.jobs.sources import display_name, named_source
from tasks.web.addresses import AddressNotAllowed, AddressPolicy
from tasks.web.downloads import download
from tasks.web.outbound import HostUnknown, guarded_pool
from tests import attempts
from tests.servers.web import WebServer, body, web_server

REFUSALS = (AddressNotAllowed, SourceNotAllowed, InvalidOption)
# What httpcore says of a URL that it cannot take apart, or cannot find.
UNREADABLE = (
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
    HostUnknown,
    TypeError,
    ValueError,
)
BUCKET = "open"


@pytest.fixture(scope="module")
def canary() -> Iterator[WebServer]:
    """What listens on loopback and must hear of nothing."""
    with web_server(body(b"secret")) as server:
        yield server
        assert not server.connections


@pytest.fixture
def open_settings(tmp_path: Path) -> Settings:
    """Of a cluster that fetches what it may, and has its store in an open bucket."""
    return Settings(
        allow_urls=True,
        source_buckets=BUCKET,
        store_url=f"s3://{BUCKET}/own",
        home=tmp_path,
    )


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server outside is reached either: an attempt that gets so far has got through."""

    def connect(address: Any, *_: object, **__: object) -> socket.socket:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket, "create_connection", connect)


def filled(attempt: str, canary: WebServer) -> str:
    return attempt.replace("{port}", str(canary.port)).replace("{bucket}", BUCKET)


@contextmanager
def refused(attempt: str, *kinds: type[Exception]) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """The block must raise one of these, or the attempt is named."""
    try:
        with pytest.raises(kinds) as refusal:
            yield refusal
    except BaseException as error:
        error.add_note(f"the attempt was {attempt!a}")
        raise


def resolve(host: str, port: int) -> list[str]:
    """As the system would, without a network: our names, and numbers in any spelling."""
    if host in attempts.NAMES:
        return list(attempts.NAMES[host])
    try:
        found = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        raise HostUnknown(host) from None
    return [str(entry[4][0]) for entry in found]


def test_the_list_is_long_enough() -> None:
    assert len(set(attempts.EVERYTHING)) >= 400
    assert len(attempts.WEB + attempts.NAMED + attempts.REDIRECTS) >= 200


def test_a_source_that_may_not_be_named_is_refused_at_submission_without_asking_dns(
    canary: WebServer, open_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: object, **__: object) -> Any:
        raise AssertionError("DNS was asked while a client waited")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for attempt in attempts.WEB + attempts.OBJECTS:
        with refused(attempt, *REFUSALS) as refusal:
            named_source(open_settings, filled(attempt, canary))
        assert isinstance(refusal.value, ScriptoriumError)
        assert refusal.value.message.isprintable() and len(refusal.value.message) < 300


@pytest.mark.usefixtures("no_connections")
def test_the_download_refuses_by_itself_what_submission_would_have(
    canary: WebServer, tmp_path: Path
) -> None:
    tls = ssl.create_default_context()
    for attempt in attempts.WEB + attempts.NAMED:
        with refused(attempt, AddressNotAllowed):
            download(
                filled(attempt, canary),
                tmp_path / "source",
                AddressPolicy(),
                max_bytes=100,
                resolve=resolve,
                ssl_context=tls,
            )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_connections")
def test_the_pool_refuses_even_what_nobody_has_looked_at(canary: WebServer) -> None:
    pool = guarded_pool(AddressPolicy(), connect_seconds=1, read_seconds=1, resolve=resolve)
    with pool:
        for attempt in attempts.WEB + attempts.NAMED:
            with refused(attempt, AddressNotAllowed, *UNREADABLE):
                pool.request("POST", filled(attempt, canary), content=b"event")


@pytest.mark.parametrize("attempt", attempts.REDIRECTS)
def test_an_allowed_server_cannot_send_us_on(
    attempt: str, canary: WebServer, tmp_path: Path
) -> None:
    with web_server(body(b"", 302, Location=filled(attempt, canary))) as front:
        policy = AddressPolicy.of(f"127.0.0.1:{front.port}")
        with pytest.raises(AddressNotAllowed, match="redirect"):
            download(front.url(), tmp_path / "source", policy, max_bytes=100)
        assert len(front.requests) == 1


def test_the_same_download_reaches_the_server_where_it_is_trusted(tmp_path: Path) -> None:
    with web_server(body(b"secret")) as server:
        policy = AddressPolicy.of(f"127.0.0.1:{server.port}")
        download(server.url(), tmp_path / "source", policy, max_bytes=100, resolve=resolve)
        assert len(server.connections) == 1


@pytest.mark.parametrize("attempt", attempts.FILE_NAMES, ids=ascii)
def test_a_file_name_is_shown_and_leads_nowhere(attempt: str) -> None:
    shown = display_name(attempt)
    assert shown.isprintable() and 0 < len(shown) <= 255
    assert "/" not in shown and "\\" not in shown and shown not in (".", "..")
