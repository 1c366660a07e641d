"""What a unit asks of Redis when it begins and when it ends, each in one request.

The parts are those of leases, attempts, receipts and speeds; a request costs Redis and the worker
more than what a script does in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tasks.runs.units import Unit
from tasks.state.attempts import Attempts, Deaths, counted
from tasks.state.leases import RELEASE, TAKE, Leases, name_of
from tasks.state.receipts import RECORD, Receipt, kept_of, record_arguments
from tasks.state.speeds import NAME, OBSERVE

_BEGIN = f"""{TAKE}
if take(KEYS[1], unpack(ARGV)) == 0 then return false end
return {{redis.call('SCARD', KEYS[2]), redis.call('SCARD', KEYS[3])}}
"""
_END = f"""{RELEASE}{RECORD}{OBSERVE}
if ARGV[1] ~= '' then
  release(KEYS[1], ARGV[1])
  redis.call('SREM', KEYS[2], ARGV[2])
end
if ARGV[3] ~= '' then record(KEYS[3], KEYS[4], unpack(ARGV, 3, 7)) end
if ARGV[8] then observe(KEYS[5], unpack(ARGV, 8)) end
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """What a unit has in Redis while it is computed: the lease of an artifact, and a try."""

    key: str  # of the artifact
    owner: str
    token: str  # of the try


class UnitRequests:
    """The two requests. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis, leases: Leases, attempts: Attempts) -> None:
        self._leases, self._attempts = leases, attempts
        self._begin = redis.register_script(_BEGIN)
        self._end = redis.register_script(_END)

    def begin(self, unit: Unit, key: str, owner: str, task_id: str) -> Deaths | None:
        """Take the lease, and return what is known of earlier tries.

        Returns None if another owner has the lease.
        """
        self._attempts.take_back()
        found: Any = self._begin(
            keys=[name_of(key), *counted(unit)], args=self._leases.arguments(owner, task_id)
        )
        return None if found is None else Deaths(*found)

    def end(
        self, unit: Unit, hold: Hold | None, receipt: Receipt, speed: Sequence[Any] = ()
    ) -> None:
        """Give back what the unit held, record its receipt if it has settled, and its speed."""
        held = ("", "") if hold is None else (hold.owner, hold.token)
        record = record_arguments(unit, receipt) if receipt.settled else [""] * 5
        if hold is None and not receipt.settled:
            return
        self._end(
            keys=[name_of(hold.key if hold else ""), counted(unit)[0], *kept_of(unit.run), NAME],
            args=[*held, *record, *speed],
        )
        if hold is not None:
            self._attempts.paid(hold.token)
