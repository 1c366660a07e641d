"""One HTTP connection, bounded before any key is known.

uvicorn bounds neither the headers of a request, nor the time that they and a body take.
`BoundedProtocol` counts what arrives; `orchestrator/api/connections.py` looks at it once a second.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from orchestrator.access.peers import peer_of, plain_address
from orchestrator.api.authentication import CONNECTION
from orchestrator.api.connections import Connections

HEAD_BYTES = 32 * 1024  # of a request's line and headers, and of a chunked body's trailers
HEAD_FIELDS = 100  # headers
HEAD_SECONDS = 10.0  # from the connection, the last reply or the first byte to the last header
BODY_SECONDS = 10.0  # in which so many bytes of a body must come
BODY_BYTES_PER_SECOND = 1000
LINGER_SECONDS = 10.0  # for the rest of a body that was answered before it had come
STALLED_SECONDS = 120.0  # for a client that does not read its reply
PIPELINED = 2  # requests that wait for the reply to an earlier one of their connection
_CHUNK_OVERHEAD = 16  # bytes around a byte of a chunked body, at most
_FULL = (b"503 Service Unavailable", b"Too many connections are open; try again.")
_TOO_LARGE = (b"431 Request Header Fields Too Large", b"The headers are too large or too many.")
_TOO_SLOW = (b"408 Request Timeout", b"The request came too slowly.")


class HeadTooLarge(ValueError):
    """The head of a request is over HEAD_BYTES or HEAD_FIELDS."""


class TooManyRequests(ValueError):
    """A connection has sent more than PIPELINED requests at once."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection: uvicorn's, with bounds on what its client sends and how fast."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self.peer: str | None = None
        self._is_refused = False
        self._is_head = True  # no head, or an unfinished one: the client is to send
        self._is_body = False
        self._is_too_large = False
        self._head_bytes = self._parsed_bytes = self._fields = 0  # as they came, and as parsed
        self._taken = self._body_bytes = 0  # of this message: all bytes, and those of its body
        self._steps = 0  # ends of heads and of messages so far
        self._since = 0.0  # when the client was first waited for
        self._counted_at, self._counted = 0.0, 0  # when the body's progress was looked at
        self._stalled_at: float | None = None  # since when the client reads nothing
        self._closing_at: float | None = None  # since when the connection was seen to close
        self._answered: RequestResponseCycle | None = None  # the request that is answered now

    @property
    def is_waiting(self) -> bool:
        """Whether the client has still to send a part of its request, or a new one."""
        return self._is_body or (self._is_head and not self._is_replying)

    @property
    def _is_replying(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or answer 503 and close it."""
        super().connection_made(transport)
        if self.client:  # for all that reads the scope, such as the audit trail
            self.client = plain_address(self.client[0]), self.client[1]
        self.peer = peer_of(self.client[0]) if self.client else None
        self._since = self.loop.time()
        if not self._connections.admit(self):
            self._is_refused = True
            self._refuse(*_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.leave(self)
        super().connection_lost(exc)
        self._end_reply()

    def abort(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        self._is_refused = True
        self._end_reply()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is too much."""
        if self._is_refused:
            return
        self._taken += len(data)
        steps = self._steps
        super().data_received(data)
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_head and steps == self._steps:  # the parser keeps it until a header is whole
            self._head_bytes += len(data)
        allowed = HEAD_BYTES + _CHUNK_OVERHEAD * self._body_bytes
        around_body = self._taken - self._body_bytes if self._is_body else 0
        if self._head_bytes > HEAD_BYTES or around_body > allowed + len(data):
            self._refuse(*_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to count a request."""
        super().on_message_begin()
        self.scope[CONNECTION] = self._know  # type: ignore[literal-required]
        self._is_head, self._head_bytes, self._parsed_bytes, self._fields = True, 0, 0, 0
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's address. Raises HeadTooLarge."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer, which must not change what was read before."""
        self._fields += 1
        self._count_head(len(name) + len(value))
        if self._is_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request; end a connection that sends many without waiting for replies.

        Raises TooManyRequests then, so that the parser leaves the rest of what came.
        """
        self._is_head, self._fields = False, 0
        self._steps += 1
        if len(self.pipeline) >= PIPELINED:
            self.abort()
            raise TooManyRequests
        self._is_body, self._taken, self._body_bytes = True, 0, 0
        self._counted_at, self._counted = self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if not self._is_refused:
            self._body_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; wait for another one."""
        self._is_body, self._is_head = False, True
        self._head_bytes = 0
        self._steps += 1
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        self._since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note since when the client does not read."""
        self._stalled_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._stalled_at = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, or whose head is too large."""
        if self._is_refused:
            return
        if self._is_replying:  # an answer to this one would be a part of that to an earlier one
            self.abort()
        elif self._is_too_large:
            self._refuse(*_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def look(self, now: float) -> None:
        """Close the connection if its client is too slow."""
        if self.transport.is_closing():
            self._closing_at = self._closing_at or now
            if now - self._closing_at > LINGER_SECONDS:  # the client does not take the rest
                self.transport.abort()
            return
        if self._stalled_at is not None and now - self._stalled_at > STALLED_SECONDS:
            self.abort()
        elif self._is_body:
            self._look_at_body(now)
        elif not self._is_replying and now - self._since > HEAD_SECONDS:
            self._refuse(*_TOO_SLOW)

    def _look_at_body(self, now: float) -> None:
        if not self._is_replying:
            if now - self._since > LINGER_SECONDS:
                self.abort()
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._counted_at, self._counted = now, self._body_bytes  # it is waited for us
        elif now - self._counted_at > BODY_SECONDS:
            if self._body_bytes - self._counted < BODY_BYTES_PER_SECOND * BODY_SECONDS:
                self._refuse(*_TOO_SLOW)
            self._counted_at, self._counted = now, self._body_bytes

    def _count_head(self, size: int) -> None:
        self._parsed_bytes += size if self._is_head else 0
        self._is_too_large = self._parsed_bytes > HEAD_BYTES or self._fields > HEAD_FIELDS
        if self._is_too_large:
            raise HeadTooLarge

    def _know(self) -> None:
        self._connections.know(self)

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Answer with this status, unless a reply has begun, and close the connection."""
        self._is_refused = True
        if not (self._is_replying and (self.pipeline or self.cycle.response_started)):
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\nretry-after: 5\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(text), text)
            )
        self._end_reply()
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _end_reply(self) -> None:
        """Let the application write the rest of its reply to nothing.

        uvicorn does so only for the newest request of a lost connection, and only later. An
        earlier one, to which later ones wait, would fail and fill the log.
        """
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()
