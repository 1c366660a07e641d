"""Bound how many wrong keys one address may send in a minute, in one process.

While an address is over its bound, only keys that it has used with success before are looked at,
so those who share the address with an attacker can go on, and a guess tells the attacker nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.access.peers import peer_of

WINDOW_SECONDS = 60.0
MOST_PEERS = 10_000  # addresses in memory; the one that is known the longest is forgotten
MOST_GOOD = 64  # good keys remembered of an address


@dataclass(slots=True)
class _Peer:
    """What one address has sent."""

    window_began: float = float("-inf")
    wrong: int = 0
    good: dict[str, None] = field(default_factory=dict)  # hashes of keys, the oldest first


class WrongKeys:
    """Counts wrong keys by address; `most` a minute, 0: without a bound."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._peers: dict[str, _Peer] = {}

    def is_over(self, host: str) -> bool:
        """Tell whether this address has sent too many."""
        peer = self._peers.get(peer_of(host) or "")
        return peer is not None and self._is_over(peer)

    def refuses(self, host: str, digest: str) -> bool:
        """Tell whether the key with this hash is refused unseen from this address."""
        peer = self._peers.get(peer_of(host) or "")
        return peer is not None and self._is_over(peer) and digest not in peer.good

    def count_wrong(self, host: str) -> None:
        """Count one wrong key."""
        peer = self._peer(host)
        if peer is None:
            return
        now = self._clock()
        if now - peer.window_began >= WINDOW_SECONDS:
            peer.window_began, peer.wrong = now, 0
        peer.wrong += 1

    def note_good(self, host: str, digest: str) -> None:
        """Remember that the key with this hash was good."""
        peer = self._peer(host)
        if peer is None or digest in peer.good:
            return
        while len(peer.good) >= MOST_GOOD:
            peer.good.pop(next(iter(peer.good)))
        peer.good[digest] = None

    def _is_over(self, peer: _Peer) -> bool:
        return peer.wrong >= self._most and self._clock() - peer.window_began < WINDOW_SECONDS

    def _peer(self, host: str) -> _Peer | None:
        name = peer_of(host) if self._most else None
        if name is None:
            return None
        found = self._peers.get(name)
        if found is None:
            while len(self._peers) >= MOST_PEERS:
                self._peers.pop(next(iter(self._peers)))
            found = self._peers[name] = _Peer()
        return found
