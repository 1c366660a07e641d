"""A proxy before an S3 server that injects faults by a seeded plan, and counts them by kind.

The plan says for each request in turn whether it has a fault and which. So equal seeds give
equal faults to equal requests in an equal order; several processes at once still race.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}
Headers = list[tuple[str, str]]


class Kind(StrEnum):
    """A kind of fault."""

    INTERNAL_ERROR = "internal_error"  # 500
    SLOW_DOWN = "slow_down"  # 503
    DENIED = "denied"  # 403, once
    EXPIRED = "expired"  # 400 ExpiredToken
    RESET = "reset"  # the connection is cut, before the request is done or after it
    LATENCY = "latency"  # the reply comes late
    TRUNCATED = "truncated"  # the reply's body breaks off
    HANG = "hang"  # no reply for a while, then the connection is cut


_REPLIES = {
    Kind.INTERNAL_ERROR: (500, "InternalError"),
    Kind.SLOW_DOWN: (503, "SlowDown"),
    Kind.DENIED: (403, "AccessDenied"),
    Kind.EXPIRED: (400, "ExpiredToken"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one request."""

    kind: Kind
    is_late: bool  # the server does the request first, and only the reply is lost
    seconds: float  # that it takes


class Plan:
    """Draws the fault of each request; a share of them, 0 to 1, has one of the kinds."""

    def __init__(
        self,
        seed: int,
        share: float,
        kinds: Sequence[Kind] = tuple(Kind),
        latency_seconds: float = 1.0,
        hang_seconds: float = 5.0,
    ) -> None:
        self.seed, self.share, self.kinds = seed, share, tuple(kinds)
        self._longest = {Kind.LATENCY: latency_seconds, Kind.HANG: hang_seconds}
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    def draw(self) -> Fault | None:
        """The next request's fault, if it has one."""
        with self._lock:
            chance, kind = self._dice.random(), self._dice.choice(self.kinds)
            is_late, part = self._dice.random() < 0.5, 0.5 + self._dice.random() / 2
        seconds = part * self._longest.get(kind, 0.0)
        return Fault(kind, is_late, seconds) if chance < self.share else None


class S3Proxy:
    """Forwards to the server at `target`; use as a context manager. Faults begin with `begin`."""

    def __init__(self, target: str, without: Collection[str] = ()) -> None:
        """`without`: headers, in lower case, that the server is not told: it cannot do them."""
        self._left_out = _OF_ONE_CONNECTION | set(without)
        self.injected: Counter[Kind] = Counter()
        self.requests = 0
        self._target = urlsplit(target).netloc
        self._plan: Plan | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def begin(self, plan: Plan) -> None:
        """Inject the plan's faults from the next request on."""
        self._plan = plan

    def end(self) -> None:
        """Inject no more faults."""
        self._plan = None

    def __str__(self) -> str:
        """What was injected, for the test's output."""
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(self.injected.items()))
        return f"{self.requests} requests, faults: {counts or 'none'}"

    def _fault(self) -> Fault | None:
        plan = self._plan
        fault = plan.draw() if plan is not None else None
        with self._lock:
            self.requests += 1
            if fault is not None:
                self.injected[fault.kind] += 1
        return fault

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with suppress(ConnectionError):  # the client, or the server at the end of the test
                    self._take(b"".join(_body(self)))

            do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

            def _take(self, body: bytes) -> None:
                fault = proxy._fault()
                if fault is None:
                    self._reply(*proxy._forward(self, body))
                    return
                done = proxy._forward(self, body) if fault.is_late else None
                proxy._stop.wait(fault.seconds)
                if fault.kind in _REPLIES:
                    self._refuse(*_REPLIES[fault.kind])
                elif fault.kind is Kind.LATENCY:
                    self._reply(*(done or proxy._forward(self, body)))
                elif fault.kind is Kind.TRUNCATED:
                    self._reply(*(done or proxy._forward(self, body)), is_cut=True)
                else:
                    self._cut()

            def _reply(
                self, status: int, headers: Headers, body: bytes, is_cut: bool = False
            ) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(body)))
                if is_cut and not body:  # the head is all there is, so nothing of it is sent
                    self._cut()
                    return
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if is_cut else body)
                if is_cut:
                    self._cut()

            def _refuse(self, status: int, code: str) -> None:
                text = f"<Error><Code>{code}</Code><Message>by the plan</Message></Error>".encode()
                text = b"" if self.command == "HEAD" else text
                self._reply(status, [("Content-Type", "application/xml")], text)

            def _cut(self) -> None:
                """Reset the connection."""
                self.wfile.flush()
                linger = struct.pack("ii", 1, 0)
                with suppress(OSError):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.shutdown(socket.SHUT_RD)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Headers, bytes]:
        connection = HTTPConnection(self._target, timeout=30)
        try:
            connection.putrequest(
                request.command, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                if name.lower() not in self._left_out:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            content = reply.read()
            kept = {"content-length"} if request.command == "HEAD" else set()
            headers = [
                (name, value)
                for name, value in reply.getheaders()
                if name.lower() not in _OF_ONE_CONNECTION - kept
            ]
            return reply.status, headers, content
        except HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass  # a client that was killed


def _body(request: BaseHTTPRequestHandler) -> Iterator[bytes]:
    """The body of a request, whole or in chunks."""
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        yield request.rfile.read(int(request.headers.get("Content-Length", 0)))
        return
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        yield request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass  # trailers
