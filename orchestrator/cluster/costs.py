"""What the open runs of a tenant cost, and the sums of it in Redis, by which quotas are held.

Each run's cost is a field of its tenant's hash, and one more field has their sums. One script
changes both, so a sum cannot drift from its parts: what removes a run removes its share. All of it
is made again from the store when Redis was wiped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

UNMEASURED = "scriptorium:open_unmeasured"  # names of open runs whose cost is an estimate


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run keeps busy until it ends; an estimate until its audio is decoded."""

    units: int = 0
    audio_seconds: float = 0.0  # of all channels that are kept apart
    stored_bytes: int = 0  # of its file, if it was uploaded, and of its decoded audio
    is_measured: bool = False

    @property
    def numbers(self) -> list[int]:
        """The cost in whole numbers, whose sums are exact: units, milliseconds and bytes."""
        return [self.units, round(self.audio_seconds * 1000), self.stored_bytes]

    @classmethod
    def of_numbers(cls, units: int, milliseconds: int, stored_bytes: int) -> Self:
        """Read what `numbers` gives."""
        return cls(units, milliseconds / 1000, stored_bytes)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a tenant's open runs may cost together; None: there is no bound."""

    units: float | None = None
    audio_seconds: float | None = None
    stored_bytes: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any bound."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    @property
    def numbers(self) -> list[Any]:
        """The bounds in the units of `Cost.numbers`; an empty text: no bound."""
        seconds = None if self.audio_seconds is None else self.audio_seconds * 1000
        return [
            "" if bound is None else int(bound)
            for bound in (self.units, seconds, self.stored_bytes)
        ]


UNKNOWN, UNBOUNDED = Cost(), Bounds()


def costs_of(tenant: str) -> str:
    """Return the key of the costs of a tenant's open and admitted runs."""
    return f"scriptorium:open_costs:{tenant}"


SUMS = "="  # the field of the sums; names of runs have a slash

# A value is `runs:units:milliseconds:bytes`; of a single run the first number is 1.
COSTS = """
local function parts(costs, name)
  local found = {}
  for part in string.gmatch(redis.call('HGET', costs, name) or '0:0:0:0', '%d+') do
    found[#found + 1] = tonumber(part)
  end
  return found
end
local function written(it) return string.format('%.0f:%.0f:%.0f:%.0f', unpack(it)) end
local function change(costs, name, new)
  local old, sums = parts(costs, name), parts(costs, '=')
  for i = 1, 4 do sums[i] = sums[i] - old[i] + (new and new[i] or 0) end
  if new then redis.call('HSET', costs, name, written(new)) else redis.call('HDEL', costs, name) end
  if sums[1] > 0 then redis.call('HSET', costs, '=', written(sums))
  else redis.call('DEL', costs) end
end
local function drop(costs, unmeasured, name)
  change(costs, name, nil)
  redis.call('SREM', unmeasured, name)
end
"""

# Keys: the tenant's open runs, its costs, the unmeasured ones. A run that has ended gets none.
PUT = f"""{COSTS}
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[1])
  return 0
end
change(KEYS[2], ARGV[1], {{1, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])}})
if ARGV[5] == '1' then redis.call('SREM', KEYS[3], ARGV[1])
else redis.call('SADD', KEYS[3], ARGV[1]) end
return 1
"""

# Keys as for PUT. A run that is open keeps its cost.
DROP = f"""{COSTS}
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then drop(KEYS[2], KEYS[3], ARGV[1]) end
return 1
"""

# What is counted and should not be: submissions that were never added, and runs that a process of
# an earlier release has closed without their costs, which are looked for when there are too many.
SWEEP = f"""{COSTS}
local function sweep(open, admitted, costs, unmeasured, oldest)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', admitted, '-inf', oldest)) do
    redis.call('ZREM', admitted, old)
    if redis.call('SISMEMBER', open, old) == 0 then drop(costs, unmeasured, old) end
  end
  local runs = redis.call('SCARD', open) + redis.call('ZCARD', admitted)
  if parts(costs, '=')[1] > runs then
    for i, found in ipairs(redis.call('HGETALL', costs)) do
      if i % 2 == 1 and found ~= '=' and redis.call('SISMEMBER', open, found) == 0
        and not redis.call('ZSCORE', admitted, found) then drop(costs, unmeasured, found) end
    end
  end
  return runs
end
"""

# Keys as for ADMIT: how many runs are open in all, how many the tenant has, and their costs.
ROOM = f"""{SWEEP}
local all, open, admitted, costs, unmeasured = unpack(KEYS)
local runs = sweep(open, admitted, costs, unmeasured, ARGV[1])
return {{redis.call('SCARD', all), runs, redis.call('HGET', costs, '=')}}
"""

# One script counts and admits, so that parallel submissions cannot pass a limit together.
# A run that is over a bound by itself is admitted once nothing else counts against that bound.
ADMIT = f"""{SWEEP}
local name, now = ARGV[1], tonumber(ARGV[2])
local all, open, admitted, costs, unmeasured = unpack(KEYS)
local runs = sweep(open, admitted, costs, unmeasured, now - ARGV[3])
if redis.call('SISMEMBER', all, name) == 1 then return {{'admitted', '0'}} end
if redis.call('SCARD', all) >= tonumber(ARGV[4]) then return {{'full', '0'}} end
if runs >= tonumber(ARGV[5]) and not redis.call('ZSCORE', admitted, name) then
  return {{'quota', '0'}}
end
local new = {{1, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])}}
local sums, old = parts(costs, '='), parts(costs, name)
for i, limit in ipairs({{'units', 'audio_seconds', 'stored_bytes'}}) do
  local most, others = tonumber(ARGV[8 + i]), sums[i + 1] - old[i + 1]
  if most and others > 0 and others + new[i + 1] > most then
    return {{limit, string.format('%.0f', others)}}
  end
end
redis.call('ZADD', admitted, now, name)
change(costs, name, new)
return {{'admitted', '0'}}
"""
