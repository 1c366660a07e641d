"""kombu's channel to Redis, for queues in which tenants take turns (`tasks/fair_queue.py`).

Queues of stages are fair; all others, such as those of Celery's remote control, stay as they are.
kombu sends a command that waits for a message, and reads its reply when the socket has one. A
script cannot wait. So this channel sends the script, and if there is no message, it waits for
the bell of one of its queues and sends the script again. If it may take no more messages of one
tenant, it waits for the bells of guests, and for one of its own that rings when it may again.

It builds on the inside of kombu 5.7, to which the package is pinned.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import redis as transport
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import ConnectionPool
from redis.commands.core import Script
from redis.exceptions import NoScriptError, RedisError

from tasks import fair_queue
from tasks.connections import WAITING, shared_pool
from tasks.deliveries import Deliveries
from tasks.fair_queue import NONE, PUT, TAKE, Share, bell, guests_bell, put_arguments
from tasks.runs.stages import queues

FAIR = frozenset(queues())
_OWN_BELL_SECONDS = 60  # after which a ring that was not heard is forgotten


class FairChannel(transport.Channel):
    """A channel whose queues of stages are fair between tenants."""

    QoS = Deliveries
    _in_poll: Any
    _brpop_sent_at: Any
    _left_out = NONE  # the tenant whose messages the script was to leave
    _waits_for_bell = False  # there was no message: wait before the script is sent again
    _is_among_guests = False  # its connection waits for the bells of guests
    _asked = ""  # the command whose reply is awaited; empty: kombu's own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Open the channel, and close what it was tried with: most channels only send."""
        super().__init__(*args, **kwargs)
        self.async_pool.disconnect(inuse_connections=False)

    def _get_pool(self, asynchronous: bool = False) -> Any:
        parameters = self._connparams(asynchronous=asynchronous)
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=parameters["db"])
        if not asynchronous:
            return shared_pool(parameters)
        return ConnectionPool(**{**parameters, "client_name": WAITING})

    def _disconnect_pools(self) -> None:
        self._pool = None  # others use it
        super()._disconnect_pools()

    @cached_property
    def _put_script(self) -> Script:
        return Script(self._create_client(), PUT)

    @cached_property
    def _take_script(self) -> Script:
        return Script(self._create_client(), TAKE)

    def create_publish_batch(self, max_size: int) -> Any:
        """Return kombu's batch, whose commands find the script in Redis."""
        with self.conn_or_acquire() as client:
            client.script_load(PUT)
        return super().create_publish_batch(max_size)

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        if queue not in FAIR:
            super()._put(queue, message, **kwargs)
            return
        arguments = put_arguments(_share(message), dumps(message))
        batch = kwargs.get("_publish_batch")
        if batch is not None:
            batch.add("evalsha", self._put_script.sha, 1, queue, *arguments)
            return
        with self.conn_or_acquire() as client:
            self._put_script([queue], arguments, client)

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        """Put a message back, in front of its tenant's others, or behind them (`leftmost`)."""
        if routing_key not in FAIR:
            super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)
            return
        payload["headers"]["redelivered"] = True
        payload["properties"]["delivery_info"]["redelivered"] = True
        arguments = put_arguments(_share(payload), dumps(payload), at_front=not leftmost)
        self._put_script([routing_key], arguments, pipe)

    def _brpop_start(self, timeout: float | None = None) -> None:
        names = self._queue_cycle.consume(len(self.active_queues))
        self._asked = ""
        if not names or not FAIR.issuperset(names):
            super()._brpop_start(timeout)
            return
        at_limit = self._at_limit
        may_wait = self._waits_for_bell and at_limit == self._left_out
        if may_wait and at_limit != NONE:
            # First the mark, then another look: a thread whose unit ends frees its slot, and then
            # looks for the mark. Of both at least one sees the other.
            self._is_among_guests = True
            at_limit = self._at_limit
            may_wait = self._is_among_guests = at_limit == self._left_out
        if may_wait:
            bells = map(guests_bell if self._is_among_guests else bell, names)
            own = [self._own_bell] if self._is_among_guests else []
            command = ["BRPOP", *bells, *own, timeout or self.brpop_timeout]
        else:
            self._left_out = at_limit
            command = ["EVALSHA", self._take_script.sha, len(names), *names, at_limit]
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self._asked = str(command[0])
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        if not self._asked:
            return bool(super()._brpop_read(**options))
        self._waits_for_bell = self._is_among_guests = False
        try:
            found = self.client.parse_response(self.client.connection, self._asked, **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        except NoScriptError:  # a Redis that was restarted
            with self.conn_or_acquire() as client:
                client.script_load(TAKE)
            raise Empty from None
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if self._asked == "BRPOP":
            raise Empty
        if not found:
            self._waits_for_bell = True
            raise Empty
        queue, message = found
        queue = bytes_to_str(queue)
        self._queue_cycle.rotate(queue)
        self.connection._deliver(loads(bytes_to_str(message)), queue)
        return True

    @property
    def _at_limit(self) -> str:
        tenant = self.qos.tenant_at_limit()
        return NONE if tenant is None else tenant

    @cached_property
    def _own_bell(self) -> str:
        return f"{guests_bell(min(self.active_queues))}:{uuid4().hex}"

    def slot_is_free(self) -> None:
        """Let a channel that waits for guests alone take other messages, if it may again."""
        if not self._is_among_guests or self._at_limit == self._left_out:
            return
        self._is_among_guests = False  # rung once
        with suppress(RedisError, OSError), self.conn_or_acquire() as client:
            pipe = client.pipeline()
            pipe.lpush(self._own_bell, "").expire(self._own_bell, _OWN_BELL_SECONDS).execute()

    def _get(self, queue: str, timeout: Any = None) -> Any:
        if queue not in FAIR:
            return super()._get(queue)
        with self.conn_or_acquire() as client:
            found = self._take_script([queue], [NONE], client)
        if not found:
            raise Empty
        return loads(bytes_to_str(found[1]))

    def _size(self, queue: str) -> int:
        if queue not in FAIR:
            return int(super()._size(queue))
        with self.conn_or_acquire() as client:
            return sum(fair_queue.lengths(client, fair_queue.lists(client, [queue])).values())

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        if queue not in FAIR:
            return bool(super()._has_queue(queue, **kwargs))
        return self._size(queue) > 0

    def _purge(self, queue: str) -> int:
        if queue not in FAIR:
            return int(super()._purge(queue))
        with self.conn_or_acquire() as client:
            return fair_queue.clear(client, [queue])

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        if queue in FAIR:
            self._purge(queue)
        super()._delete(queue, *args, **kwargs)


def _share(message: Any) -> Share:
    return Share.of(message.get("headers") or {})


def be_fair() -> None:
    """Let every connection of kombu to Redis in this process use `FairChannel`."""
    transport.Transport.Channel = FairChannel
