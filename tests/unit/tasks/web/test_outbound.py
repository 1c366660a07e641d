"""Requests go to a checked address or nowhere."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tasks.web import outbound
from tasks.web.addresses import AddressNotAllowed, AddressPolicy
from tasks.web.outbound import HostUnknown, RequestTooLong, guarded_pool, location, look_up
from tests.eventually import PATIENCE_SECONDS
from tests.servers.web import WebServer, body, silence, web_server

LOOPBACK = "127.0.0.1"


def pool(trusted: str = LOOPBACK, **options: Any) -> httpcore.ConnectionPool:
    seconds = {"connect_seconds": 2.0, "read_seconds": 2.0, "total_seconds": 5.0}
    return guarded_pool(AddressPolicy.of(trusted), **(seconds | options))


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(body(b"hello")) as started:
        yield started


def certificate(folder: Path, name: str) -> Path:
    """Certificate and key of a host, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = [x509.DNSName(name), x509.IPAddress(ip_address(LOOPBACK))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.public_bytes(Encoding.PEM)
    )
    return path


def test_a_trusted_host_is_spoken_to(server: WebServer) -> None:
    with pool() as connections:
        answer = connections.request("POST", server.url("/hook?x=1"), content=b"event")
    assert (answer.status, answer.content) == (200, b"hello")
    (command, path, headers) = server.requests[0]
    assert (command, path, headers["Host"]) == ("POST", "/hook?x=1", f"127.0.0.1:{server.port}")


def test_a_pool_keeps_its_connection_and_its_checked_address(server: WebServer) -> None:
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return [LOOPBACK]

    with pool("store.example", resolve=resolve) as connections:
        for _ in range(3):
            assert connections.request("GET", server.url(host="store.example")).status == 200
    assert asked == ["store.example"]
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1/",
        "http://localhost:{port}/",
        "https://[::1]/",
    ],
)
def test_an_address_that_is_not_trusted_hears_nothing(server: WebServer, url: str) -> None:
    with pool(trusted="") as connections, pytest.raises(AddressNotAllowed):
        connections.request("GET", url.replace("{port}", str(server.port)))
    assert not server.connections


def test_odd_spellings_are_caught_where_the_connection_is_made() -> None:
    with pool(trusted="") as connections:
        for host in ("0x7f.1", "0177.0.0.1", "127.0.1"):  # the system's resolver reads them
            with pytest.raises(AddressNotAllowed, match="not public"):
                connections.request("GET", f"https://{host}/")


def test_a_connection_goes_to_the_address_that_was_checked_though_dns_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([["93.184.215.14"], [LOOPBACK]])
    asked: list[str] = []
    tried: list[tuple[str, int]] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return next(answers)

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError("this test reaches no server")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pool(trusted="", resolve=resolve) as connections:
        with pytest.raises(httpcore.ConnectError):
            connections.request("GET", "https://rebinding.example/")
        assert (asked, tried) == (["rebinding.example"], [("93.184.215.14", 443)])
        with pytest.raises(AddressNotAllowed):  # the second request asks anew, and is refused
            connections.request("GET", "https://rebinding.example/")
    assert len(tried) == 1


def test_every_address_of_a_host_is_tried_up_to_a_few(
    monkeypatch: pytest.MonkeyPatch, server: WebServer
) -> None:
    real = socket.create_connection
    tried: list[str] = []

    def connect(address: tuple[str, int], *rest: Any, **options: Any) -> socket.socket:
        tried.append(address[0])
        if address[0] != LOOPBACK:
            raise ConnectionRefusedError("this test reaches no server")
        return real(address, *rest, **options)

    monkeypatch.setattr(socket, "create_connection", connect)
    many = [f"93.184.215.{number}" for number in range(9)]
    with pool("a.example", resolve=lambda *_: [*many[:2], LOOPBACK]) as connections:
        assert connections.request("GET", server.url(host="a.example")).status == 200
    with (
        pool(trusted="", resolve=lambda *_: many) as connections,
        pytest.raises(httpcore.ConnectError),
    ):
        connections.request("GET", "https://a.example/")
    assert tried == [*many[:2], LOOPBACK, *many[: outbound.TRIED_ADDRESSES]]


def test_tls_is_checked_against_the_url_s_name_and_not_the_address(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(tmp_path, "store.example"))
    names: list[str | None] = []
    tls.sni_callback = lambda _, name, __: names.append(name)
    ours = ssl.create_default_context(cafile=str(tmp_path / "store.example.pem"))
    with web_server(body(b"hello"), tls) as server:

        def ask(host: str, context: ssl.SSLContext | None) -> bytes:
            with pool(host, resolve=lambda *_: [LOOPBACK], ssl_context=context) as connections:
                return connections.request("GET", server.url(host=host, scheme="https")).content

        assert ask("store.example", ours) == b"hello"
        for host, context in (("other.example", ours), ("store.example", None)):
            with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                ask(host, context)
    assert names == ["store.example", "other.example", "store.example"]
    ((_, _, headers),) = server.requests
    assert headers["Host"] == f"store.example:{server.port}"


def test_a_redirect_is_an_answer_and_not_followed(server: WebServer) -> None:
    with web_server(body(b"", 307, Location=server.url())) as front, pool() as connections:
        assert connections.request("GET", front.url()).status == 307
    assert not server.connections


def test_a_proxy_of_the_environment_is_not_used(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pool() as connections:
        assert connections.request("GET", server.url()).status == 200


def test_an_answer_that_is_dripped_ends_with_the_request_s_time() -> None:
    def headers(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            handler.wfile.write(f"X-{number}: 1\r\n".encode())
            time.sleep(0.1)

    with web_server(headers) as server, pool(total_seconds=0.3) as connections:
        started = time.monotonic()
        with pytest.raises(RequestTooLong, match=r"0\.3 s"):
            connections.request("GET", server.url())
        assert time.monotonic() - started < PATIENCE_SECONDS  # the answer takes 100 s


def test_a_server_that_says_nothing_is_given_up_after_the_read_time() -> None:
    with (
        web_server(silence) as server,
        pool(read_seconds=0.1) as connections,
        pytest.raises(httpcore.ReadTimeout) as error,
    ):
        connections.request("GET", server.url())
    assert not isinstance(error.value, RequestTooLong)


def test_each_request_of_a_connection_has_the_whole_time(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(outbound, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with pool(total_seconds=5.0) as connections:
        for _ in range(3):
            assert connections.request("GET", server.url()).status == 200
            now[0] += 3.0
    assert len(server.connections) == 1


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    with pool() as connections, pytest.raises(httpcore.ConnectError):
        connections.request("GET", "http://127.0.0.1:1/")


def test_a_name_that_cannot_be_looked_up_is_never_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(code: int) -> Any:
        def getaddrinfo(*_: object, **__: object) -> Any:
            raise socket.gaierror(code, "as told")

        return getaddrinfo

    with pool(trusted="") as connections:
        monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_NONAME))
        with pytest.raises(HostUnknown, match=r"a\.example"):
            connections.request("GET", "https://a.example/")
        monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_AGAIN))
        with pytest.raises(httpcore.ConnectError) as error:
            connections.request("GET", "https://a.example/")
    assert not isinstance(error.value, HostUnknown)


def test_a_trusted_name_without_any_address_is_unknown() -> None:
    with pool("a.example", resolve=lambda *_: []) as connections, pytest.raises(HostUnknown):
        connections.request("GET", "http://a.example/")


def test_what_cannot_be_a_name_is_refused() -> None:
    with pytest.raises(AddressNotAllowed):
        look_up("a" * 70 + ".example", 443)


def test_a_socket_of_the_machine_is_refused(tmp_path: Path) -> None:
    network = outbound._GuardedNetwork(AddressPolicy(), look_up, 1.0)
    with pytest.raises(AddressNotAllowed):
        network.connect_unix_socket(str(tmp_path / "socket"))


def test_an_accepted_address_is_asked_for_as_it_was_accepted(server: WebServer) -> None:
    policy = AddressPolicy.of("127.0.0.1")
    address = policy.parse(f"HTTP://127.0.0.1:{server.port}/a b/ü?c=d e")
    with pool() as connections:
        assert connections.request("GET", location(address)).status == 200
    assert server.requests[0][1] == "/a%20b/%C3%BC?c=d%20e"
