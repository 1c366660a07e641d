"""Which worker computes which artifact now: leases in Redis that expire unless renewed.

A lease saves work; correctness does not depend on it: if two workers compute the same artifact,
the store keeps the first. Expiry runs on Redis's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis

_PREFIX = "scriptorium:lease:"
_RESERVED = "reserved:"  # held for a task that will come back after its retry delay

# Lua, so that the lease cannot change between the read and the write. Each is a function, so that
# `unit_requests.py` can do it together with what is asked at the same time.
TAKE = """
local function take(lease, owner, reserved, milliseconds)
  local holder = redis.call('GET', lease)
  if holder and holder ~= owner and holder ~= reserved then return 0 end
  redis.call('SET', lease, owner, 'PX', milliseconds)
  return 1
end
"""
_RENEW = f"""{TAKE}
local taken = {{}}
for i, lease in ipairs(KEYS) do taken[i] = take(lease, ARGV[i + 1], '', ARGV[1]) end
return taken
"""
RELEASE = """
local function release(lease, owner)
  if redis.call('GET', lease) ~= owner then return 0 end
  return redis.call('DEL', lease)
end
"""


def name_of(key: str) -> str:
    """Return the name in Redis of an artifact's lease."""
    return _PREFIX + key


class Leases:
    """Leases on artifact keys. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis, seconds: float) -> None:
        self._redis = redis
        self._milliseconds = int(seconds * 1000)
        self._take = redis.register_script(f"{TAKE} return take(KEYS[1], unpack(ARGV))")
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(f"{RELEASE} return release(KEYS[1], ARGV[1])")

    def take(self, key: str, owner: str, task_id: str = "") -> bool:
        """Take or renew the lease. Returns False if another owner has it.

        Takes also a lease that Redis has forgotten, and one that is reserved for `task_id`.
        """
        return bool(self._take(keys=[name_of(key)], args=self.arguments(owner, task_id)))

    def renew(self, held: Sequence[tuple[str, str]]) -> list[bool]:
        """Do what `take` does for several artifacts, each with its owner, in one request."""
        if not held:
            return []
        names, owners = [name_of(key) for key, _ in held], [owner for _, owner in held]
        taken: Any = self._renew(keys=names, args=[self._milliseconds, *owners])
        return [bool(one) for one in taken]

    def arguments(self, owner: str, task_id: str = "") -> list[Any]:
        """Return the arguments of TAKE behind the name of the lease."""
        return [owner, _RESERVED + task_id, self._milliseconds]

    def release(self, key: str, owner: str) -> None:
        """Release the lease if `owner` still has it."""
        self._release(keys=[name_of(key)], args=[owner])

    def reserve(self, key: str, task_id: str, seconds: float) -> None:
        """Reserve the lease for a task that tries again after `seconds`."""
        self._redis.set(
            name_of(key), _RESERVED + task_id, px=int(seconds * 1000) + self._milliseconds
        )

    def held(self, keys: Sequence[str]) -> list[bool]:
        """Return for each artifact whether it is leased or reserved."""
        if not keys:
            return []
        found: Any = self._redis.mget([name_of(key) for key in keys])
        return [holder is not None for holder in found]

    def names(self) -> list[str]:
        """Return every artifact key that is leased or reserved now."""
        found: Iterator[bytes] = self._redis.scan_iter(match=_PREFIX + "*", count=1000)
        return [name.decode().removeprefix(_PREFIX) for name in found]

    def workers(self) -> frozenset[str]:
        """Return the names of the workers that hold a lease now."""
        names = self.names()
        holders: Any = self._redis.mget([_PREFIX + name for name in names]) if names else []
        return frozenset(
            holder.decode().rpartition(":")[0]
            for holder in holders
            if holder is not None and not holder.startswith(_RESERVED.encode())
        )

    def release_worker(self, worker: str) -> int:
        """Release every lease of a worker that is known to be dead; return how many."""
        released = 0
        for name in self._redis.scan_iter(match=_PREFIX + "*", count=1000):
            holder: Any = self._redis.get(name)
            if holder is not None and holder.decode().startswith(f"{worker}:"):
                released += int(self._release(keys=[name], args=[holder]))
        return released
