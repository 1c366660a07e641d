"""How fast each stage is: seconds of audio that one unit of work gets done in a second.

Sums that fade, kept in Redis for every pool of workers, so that a cluster measures itself. A hint:
after a wipe the first units measure it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tasks.runs.stages import Stage

_NAME = "scriptorium:speeds"
_STAGES = frozenset(stage.value for stage in Stage)
FADE = 0.98  # of the sums at each new unit: some fifty units count
# One step, so that two workers do not write over each other.
_OBSERVE = """
for field, added in pairs({seconds = ARGV[2], audio = ARGV[3], units = 1}) do
  local name = ARGV[1] .. '/' .. field
  local sum = tonumber(redis.call('HGET', KEYS[1], name) or '0')
  redis.call('HSET', KEYS[1], name, tostring(sum * tonumber(ARGV[4]) + tonumber(added)))
end
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of one stage, with one model, on one pool's workers."""

    audio_seconds_per_second: float
    audio_seconds_per_unit: float


@dataclass(frozen=True, slots=True)
class SpeedName:
    """What a speed depends on."""

    pool: str
    stage: Stage
    model: str


class Speeds:
    """Measured speeds. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._observe = redis.register_script(_OBSERVE)

    def observe(self, name: SpeedName, seconds: float, audio_seconds: float) -> None:
        """One unit was computed. Units without audio tell nothing."""
        if seconds > 0 and audio_seconds > 0:
            field = f"{name.pool}|{name.stage.value}|{name.model}"
            self._observe(keys=[_NAME], args=[field, seconds, audio_seconds, FADE])

    def read(self) -> dict[SpeedName, Speed]:
        """All that were measured."""
        raw: Any = self._redis.hgetall(_NAME)
        sums: dict[str, dict[str, float]] = {}
        for key, value in raw.items():
            name, _, field = key.decode().rpartition("/")
            sums.setdefault(name, {})[field] = float(value)
        return {
            _name(text): _speed(fields)
            for text, fields in sums.items()
            if text.split("|", 2)[1] in _STAGES  # a newer version may know others
        }


def _name(text: str) -> SpeedName:
    pool, stage, model = text.split("|", 2)
    return SpeedName(pool, Stage(stage), model)


def _speed(sums: Mapping[str, float]) -> Speed:
    return Speed(sums["audio"] / sums["seconds"], sums["audio"] / sums["units"])
