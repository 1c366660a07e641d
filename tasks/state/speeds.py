"""How fast each stage is: seconds of audio that one unit computes in a second.

Redis keeps sums for each pool, stage and model, in which old units count less and less. They
are a hint: after a wipe the first units measure again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tasks.runs.stages import Stage

NAME = "scriptorium:speeds"
FADE = 0.98  # factor on the sums at each new unit: about the last fifty units count
# Lua, so that two workers do not overwrite each other's sums.
OBSERVE = """
local function observe(speeds, name, seconds, audio, fade)
  for field, added in pairs({seconds = seconds, audio = audio, units = 1}) do
    local sum = tonumber(redis.call('HGET', speeds, name .. '/' .. field) or '0')
    sum = sum * tonumber(fade) + tonumber(added)
    redis.call('HSET', speeds, name .. '/' .. field, tostring(sum))
  end
end
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """The measured speed of one stage, with one model, on one pool's workers."""

    audio_seconds_per_second: float
    audio_seconds_per_unit: float


@dataclass(frozen=True, slots=True)
class SpeedName:
    """What a speed is measured for: a pool, a stage and a model."""

    pool: str
    stage: Stage
    model: str


class Speeds:
    """Measured speeds. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._observe = redis.register_script(f"{OBSERVE} return observe(KEYS[1], unpack(ARGV))")

    def observe(self, name: SpeedName, seconds: float, audio_seconds: float) -> None:
        """Add one computed unit to the sums; ignore a unit without audio or seconds."""
        arguments = observe_arguments(name, seconds, audio_seconds)
        if arguments:
            self._observe(keys=[NAME], args=arguments)

    def forget(self, model: str) -> None:
        """Forget the speeds of a model; its next unit measures anew."""
        raw: Any = self._redis.hgetall(NAME)
        of_model = [
            key
            for key in raw
            if key.decode("utf-8", "replace").rpartition("/")[0].split("|", 2)[-1] == model
        ]
        if of_model:
            self._redis.hdel(NAME, *of_model)

    def read(self) -> dict[SpeedName, Speed]:
        """Return all measured speeds."""
        raw: Any = self._redis.hgetall(NAME)
        sums: dict[str, dict[str, float]] = {}
        for key, value in raw.items():
            name, _, field = key.decode("utf-8", "replace").rpartition("/")
            with suppress(ValueError):
                sums.setdefault(name, {})[field] = float(value)
        found = {}
        for text, fields in sums.items():
            # A newer version may have other stages; a broken entry is measured anew.
            with suppress(ValueError, KeyError, ZeroDivisionError):
                found[_name(text)] = _speed(fields)
        return found


def observe_arguments(name: SpeedName, seconds: float, audio_seconds: float) -> list[Any]:
    """Return the arguments of OBSERVE behind the key; none for a unit without audio or seconds."""
    if seconds <= 0 or audio_seconds <= 0:
        return []
    return [f"{name.pool}|{name.stage.value}|{name.model}", seconds, audio_seconds, FADE]


def _name(text: str) -> SpeedName:
    pool, stage, model = text.split("|", 2)
    return SpeedName(pool, Stage(stage), model)


def _speed(sums: Mapping[str, float]) -> Speed:
    return Speed(sums["audio"] / sums["seconds"], sums["audio"] / sums["units"])
