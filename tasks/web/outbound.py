"""HTTP to addresses that submitters give, kept out of our own network.

The host is resolved once, each of its addresses is checked, and the connection goes to one of
the checked addresses, so a name that changes its address in between (DNS rebinding) gains
nothing. There are no redirects, no proxies and no settings from the environment. A request has a
bound on its total time, headers included, so a server that answers slowly cannot block a worker.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from tasks.web.addresses import AddressNotAllowed, AddressPolicy, WebAddress

USER_AGENT = "scriptorium/1"
TOTAL_SECONDS = 60.0  # of one request, its answer included
IDLE_SECONDS = 5.0  # a connection is kept for the next request
TRIED_ADDRESSES = 4  # of one host, one after the other, until one answers

Resolve = Callable[[str, int], Sequence[str]]


class HostUnknown(httpcore.ConnectError):
    """DNS says that there is no host of that name."""


class RequestTooLong(httpcore.ReadTimeout):
    """The answer was not complete when the request's total time was over."""


def look_up(host: str, port: int) -> tuple[str, ...]:
    """Return the host's addresses by the system's resolver.

    Raises HostUnknown, AddressNotAllowed, or httpcore.ConnectError if the resolver fails.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            raise HostUnknown(f"There is no host named {host!r}.") from error
        raise httpcore.ConnectError(f"{host!r} cannot be looked up now: {error}.") from error
    except UnicodeError as error:
        raise AddressNotAllowed(f"{host[:80]!r} is not the name of a host.") from error
    return tuple(str(entry[4][0]) for entry in found)


def location(address: WebAddress) -> httpcore.URL:
    """Return the URL in httpcore's form, from its parts, so that it is not parsed again."""
    return httpcore.URL(
        scheme=address.scheme, host=address.host, port=address.port, target=address.target
    )


def guarded_pool(
    policy: AddressPolicy,
    *,
    connect_seconds: float,
    read_seconds: float,
    total_seconds: float = TOTAL_SECONDS,
    resolve: Resolve = look_up,
    ssl_context: ssl.SSLContext | None = None,
    max_connections: int = 10,
) -> httpcore.ConnectionPool:
    """Return a pool whose `request` and `stream` go only where the policy allows; close it.

    They raise AddressNotAllowed for a forbidden address, and httpcore's own errors
    (NetworkError, TimeoutException, ProtocolError) for one that does not answer. A redirect is
    returned like any other answer. Any number of threads may share a pool; make it after a fork.
    """
    return _GuardedPool(
        policy,
        {
            "connect": connect_seconds,
            "read": read_seconds,
            "write": read_seconds,
            "pool": total_seconds,
        },
        ssl_context=ssl_context or _tls(),
        max_connections=max_connections,
        keepalive_expiry=IDLE_SECONDS,
        network_backend=_GuardedNetwork(policy, resolve, total_seconds),
    )


def _tls() -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    context.load_default_certs()  # the machine's too: trusted hosts may have a private CA
    return context


class _GuardedPool(httpcore.ConnectionPool):
    """Checks scheme, host and port; the network backend does not know whether TLS is used."""

    def __init__(self, policy: AddressPolicy, timeouts: dict[str, float], **options: Any) -> None:
        super().__init__(**options)
        self._policy = policy
        self._timeouts = timeouts

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        url = request.url
        scheme = url.scheme.decode("ascii", "replace")
        host = url.host.decode("ascii", "replace")
        self._policy.permit(scheme, host, url.port or (80 if scheme == "http" else 443))
        request.extensions = {"timeout": self._timeouts, **request.extensions}
        return super().handle_request(request)


class _GuardedNetwork(httpcore.NetworkBackend):
    """Connects only to a checked address of the host."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve, total_seconds: float) -> None:
        self._policy = policy
        self._resolve = resolve
        self._total_seconds = total_seconds
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._policy.check(host, port, self._resolve(host, port))
        failure: Exception = HostUnknown(f"{host!r} has no address.")
        ends_at = time.monotonic() + (timeout or self._total_seconds)
        for address in addresses[:TRIED_ADDRESSES]:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, max(0.1, ends_at - time.monotonic()), local_address, []
                )
                return _BoundedStream(stream, self._total_seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise AddressNotAllowed("A socket of this machine is not spoken to.")


class _BoundedStream(httpcore.NetworkStream):
    """A connection that gives each request `seconds` in all, counted from its first byte."""

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._ends_at = 0.0
        self._is_answered = True

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_answered:
            self._is_answered = False
            self._ends_at = time.monotonic() + self._seconds
        self._stream.write(buffer, self._bound(timeout))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._is_answered = True
        bound = self._bound(timeout)
        try:
            return self._stream.read(max_bytes, bound)
        except httpcore.ReadTimeout:
            self._bound(None)
            raise

    def _bound(self, timeout: float | None) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise RequestTooLong(f"It took more than {self._seconds:g} s.")
        return left if timeout is None else min(timeout, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _BoundedStream(secure, self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
