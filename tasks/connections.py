"""Connections to Redis: how many a process has, and how `CLIENT LIST` names them.

kombu gives each channel a pool of its own, and Celery opens a channel for each thread that sends:
connections grew with the threads. A command takes a moment, so all channels of a process share one
pool here, in which a command waits for a connection if all are in use. Only what waits for Redis to
speak has a connection of its own: for messages one, for remote control another.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from redis import BlockingConnectionPool

WAITING = "scriptorium-waiting"  # for messages, or for remote control
MESSAGES = "scriptorium-messages"  # sent, deleted, put back; events
RESULTS = "scriptorium-results"  # the counts of chords
STATE = "scriptorium-state"  # leases, receipts, and all that is not Celery's
MOST_MESSAGES, MOST_RESULTS, MOST_STATE = 3, 2, 3  # connections; of the state: of a worker
PATIENCE_SECONDS = 30.0  # a command that has had no connection for so long fails

_pools: dict[tuple[tuple[str, str], ...], BlockingConnectionPool] = {}
_lock = threading.Lock()


def shared_pool(parameters: Mapping[str, Any]) -> BlockingConnectionPool:
    """Return this process's pool for messages, for connections with these parameters.

    A pool makes new connections in a forked child by itself.
    """
    named = {**parameters, "client_name": MESSAGES, "max_connections": MOST_MESSAGES}
    key = tuple(sorted((name, repr(value)) for name, value in named.items()))
    with _lock:
        if key not in _pools:
            _pools[key] = BlockingConnectionPool(timeout=PATIENCE_SECONDS, **named)  # type: ignore[no-untyped-call]
        return _pools[key]
