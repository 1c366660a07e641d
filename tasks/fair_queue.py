"""A queue in Redis in which tenants take turns, fairly by the seconds of audio of their units.

Each tenant has a list of its own in each queue, first in, first out. A sorted set holds the tenants
that wait, with the virtual time at which the next message of each begins; the lowest is taken
next, and moves its tenant on by the message's cost: start-time fair queueing (Goyal, Vin and Cheng
1996). So a tenant with a thousand messages delays a newcomer by one message, and over time each
waiting tenant gets the same seconds of audio, times its weight. A tenant that was idle gets no
credit for that, and one that was served keeps its debt until the virtual time has passed it.

    <queue>:tenants          tenant -> virtual time
    <queue>:of:<tenant>      its messages, each behind its cost and a space
    <queue>:past             tenant -> virtual time of those that wait no more; expires
    <queue>:bell             rung for each message, to wake waiting workers; expires
    <queue>:guests           rung for the first messages of each tenant, to wake workers of which
                             one slot is free, for other tenants than the one that has the rest;
                             expires

Both scripts are atomic. They know nothing of workers and of what is in a message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

SHARE = "scriptorium_share"  # header of a message: tenant and cost
NONE = " "  # in the place of a tenant's name, which has no space
_PARTS = ("tenants", "past", "bell", "guests")  # of a queue, besides its messages
_EARLY = ":early"  # behind a tenant's name
_EXPIRES = 3600  # seconds; longer than a tenant's debt matters
_MOST_RINGS = 100  # kept, so that a bell that no worker hears stays small
# Of a tenant's messages so many ring for workers that are kept for guests: a tenant with more of
# them in a queue has workers enough, and a flood must not wake those that it may not have.
_GUESTS = 32

PUT = f"""
local tenants, past = KEYS[1] .. ':tenants', KEYS[1] .. ':past'
if not redis.call('zscore', tenants, ARGV[1]) then
  local first = redis.call('zrange', tenants, 0, 0, 'withscores')
  local start = first[2] or '0'
  if first[2] then
    local debt = redis.call('hget', past, ARGV[1])
    if debt and tonumber(debt) > tonumber(start) then start = debt end
  else
    redis.call('del', past)
  end
  redis.call('zadd', tenants, start, ARGV[1])
end
local length = redis.call(ARGV[4], KEYS[1] .. ':of:' .. ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
local function ring(bell, most)
  redis.call('lpush', bell, '')
  redis.call('ltrim', bell, 0, most - 1)
  redis.call('expire', bell, {_EXPIRES})
end
ring(KEYS[1] .. ':bell', {_MOST_RINGS})
if length <= {_GUESTS} then ring(KEYS[1] .. ':guests', {_GUESTS}) end
"""

# Of the tenant that is left out its early work is left too: that has a list of its own.
# What is in the plain list was sent by a release that had no turns: it goes first.
# An idle worker looks each second, so it learns in two commands that nothing waits. Bells that rang
# for messages that are gone must not wake a worker again.
TAKE = f"""
local lists, bells = {{}}, {{}}
for i, queue in ipairs(KEYS) do
  lists[2 * i - 1], lists[2 * i] = queue, queue .. ':tenants'
  bells[2 * i - 1], bells[2 * i] = queue .. ':bell', queue .. ':guests'
end
if redis.call('exists', unpack(lists)) == 0 then
  redis.call('del', unpack(bells))
  return false
end
for i, queue in ipairs(KEYS) do
  if redis.call('exists', queue, lists[2 * i]) > 0 then
    local old = redis.call('rpop', queue)
    if old then return {{queue, old}} end
    local tenants, past = lists[2 * i], queue .. ':past'
    local first, at = redis.call('zrange', tenants, 0, 2, 'withscores'), 1
    while first[at] == ARGV[1] or first[at] == ARGV[1] .. '{_EARLY}' do at = at + 2 end
    local tenant, start = first[at], first[at + 1]
    local item = tenant and redis.call('rpop', queue .. ':of:' .. tenant)
    if item then
      local space = string.find(item, ' ', 1, true)
      local finish = tonumber(start) + tonumber(string.sub(item, 1, space - 1))
      if redis.call('exists', queue .. ':of:' .. tenant) == 1 then
        redis.call('zadd', tenants, finish, tenant)
      else
        redis.call('zrem', tenants, tenant)
        redis.call('hset', past, tenant, finish)
        redis.call('expire', past, {_EXPIRES})
      end
      return {{queue, string.sub(item, space + 1)}}
    elseif tenant then
      redis.call('zrem', tenants, tenant)
    end
  end
end
return false
"""


@dataclass(frozen=True, slots=True)
class Share:
    """Whose turn a message takes, and how much of it.

    `cost` is in seconds of audio, divided by the tenant's weight; a message without a share has a
    small one.
    """

    tenant: str = ""
    cost: float = 1.0

    def headers(self) -> dict[str, Any]:
        """Return the share as a header of a message."""
        return {SHARE: [self.tenant, round(self.cost, 3)]}

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> Share:
        """Return the share that a message names; what cannot be read is as if it named none."""
        try:
            tenant, cost = headers[SHARE]
            return cls(str(tenant).replace(NONE, ""), max(0.0, float(cost)))
        except (KeyError, TypeError, ValueError):
            return cls()


def early(tenant: str) -> str:
    """Return the name under which a tenant's early work takes turns: no tenant's name has a colon.

    It has a list of its own, so that it waits behind the tenant's other work too.
    """
    return f"{tenant}{_EARLY}"


def slots_of(concurrency: int) -> int:
    """Return the slots of a worker that does so many units of one tenant at the same time."""
    return concurrency + 1 if concurrency > 1 else 1


def tenant_at_limit(held: Iterable[str], slots: int) -> str | None:
    """Return the tenant that may have no more of a worker's slots for now. Pure.

    `held` has the tenant of each message that the worker holds. One slot is kept for the others,
    if there are three or more: a unit cannot be interrupted, so a newcomer would wait for one to
    end.
    """
    counts = Counter(name.partition(":")[0] for name in held).most_common(1)  # early work too
    return next((tenant for tenant, count in counts if 3 <= slots <= count + 1), None)


def put_arguments(share: Share, message: str, *, at_front: bool = False) -> tuple[str, ...]:
    """Return the arguments of the script PUT, whose key is the queue's name."""
    return share.tenant, f"{share.cost:.3f}", message, "rpush" if at_front else "lpush"


def bell(queue: str) -> str:
    """Return the key of the queue's bell."""
    return f"{queue}:bell"


def guests_bell(queue: str) -> str:
    """Return the key of the queue's bell for workers that are kept for guests."""
    return f"{queue}:guests"


def lists(redis: Redis, queues: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the keys of the lists that hold messages, with their queue and tenant.

    Those of an older release, without turns, are of the tenant NONE.
    """
    pipe = redis.pipeline(transaction=False)
    for queue in queues:
        pipe.zrange(f"{queue}:tenants", 0, -1)
    found = {queue: (queue, NONE) for queue in queues}
    for queue, tenants in zip(queues, pipe.execute(), strict=True):
        names = [tenant.decode("utf-8", "replace") for tenant in tenants]
        found |= {f"{queue}:of:{name}": (queue, name) for name in names}
    return found


def lengths(redis: Redis, keys: Iterable[str]) -> dict[str, int]:
    """Return the length of each of these lists that is not empty."""
    pipe = redis.pipeline(transaction=False)
    for key in (named := list(keys)):
        pipe.llen(key)
    return {key: length for key, length in zip(named, pipe.execute(), strict=True) if length}


def message_of(item: bytes) -> bytes:
    """Return the message of a list's entry, without its cost."""
    return item if item.startswith(b"{") else item.partition(b" ")[2]


def clear(redis: Redis, queues: Sequence[str]) -> int:
    """Delete all messages of some queues, and return how many there were."""
    keys = lists(redis, queues)
    count = sum(lengths(redis, keys).values())
    parts = (f"{queue}:{part}" for queue in queues for part in _PARTS)
    redis.delete(*keys, *parts)
    return count
