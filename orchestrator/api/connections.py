"""The open HTTP connections of one process: how many there may be, and which one goes first.

uvicorn has no bound on them. A connection whose requests had a good key is never closed to make
room for others; of those without a key, the one that has waited the longest is. All are looked at
once a second, a tenth at a time, so that no request waits long for it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from config.settings import Settings

SWEEP_SECONDS = 1.0  # in which all connections are looked at
SWEEP_PARTS = 10
LOOKED_AT = 64  # connections, when one is closed to make room


class Connection(Protocol):
    """What `Connections` knows of a connection."""

    loop: asyncio.AbstractEventLoop
    peer: str | None  # the address that counts its connections; None: not counted by address

    @property
    def is_waiting(self) -> bool:
        """Whether the client has still to send a part of its request, or a new one."""

    def look(self, now: float) -> None:
        """Close the connection if its client is too slow."""

    def abort(self) -> None:
        """Close the connection at once."""


class Connections:
    """The open connections of one process, on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_connections
        self._most_of_peer = settings.peer_connections
        self._open: dict[Connection, None] = {}  # the one that was looked at last comes last
        self._strangers: dict[Connection, None] = {}  # no good key yet; the oldest first
        self._of_peer: Counter[str] = Counter()  # strangers by address
        self._is_sweeping = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Take a new connection, if need be in the place of another one; False: there is no room.

        An address with many strangers has its own oldest one closed.
        """
        peer = connection.peer
        if peer is not None and 0 < self._most_of_peer <= self._of_peer[peer]:
            own = (one for one in self._strangers if one.peer == peer)
            if not self._make_room(own):
                return False
        if len(self._open) >= self._most and not self._make_room(iter(self._strangers)):
            return False
        self._open[connection] = None
        self._strangers[connection] = None
        if peer is not None:
            self._of_peer[peer] += 1
        if not self._is_sweeping:
            self._sweep_later(connection.loop)
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)
        self.know(connection)

    def know(self, connection: Connection) -> None:
        """Count a connection as one whose key is good."""
        if connection in self._strangers:
            del self._strangers[connection]
            peer = connection.peer
            if peer is not None:
                self._of_peer[peer] -= 1
                if not self._of_peer[peer]:
                    del self._of_peer[peer]

    def _make_room(self, strangers: Iterator[Connection]) -> bool:
        """Close the first of these that waits for its client; False if none of the oldest does."""
        for _, one in zip(range(LOOKED_AT), strangers, strict=False):
            if one.is_waiting:
                self.leave(one)
                one.abort()
                return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for one in list(islice(self._open, math.ceil(len(self._open) / SWEEP_PARTS))):
            del self._open[one]
            self._open[one] = None
            one.look(now)
        self._is_sweeping = False
        if self._open:
            self._sweep_later(loop)

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_sweeping = True
        loop.call_later(SWEEP_SECONDS / SWEEP_PARTS, self._sweep, loop)
