"""What a finished unit reports: a receipt, kept in Redis as the job's ledger.

Receipts are hints for progress and status. The artifacts are the facts, and the
ledger can be written again from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from redis import Redis

from tasks.stages import Stage, Unit

_PREFIX = "scriptorium:receipts:"
_KEEP_SECONDS = 30 * 24 * 3600

Outcome = Literal[
    "computed",
    "cached",  # the artifact was there
    "failed",  # given up; the failure is an artifact
    "canceled",
    "elsewhere",  # somebody else holds the lease
    "incomplete",  # a fan-in that came too early
]


@dataclass(frozen=True, slots=True)
class Receipt:
    """How one unit ended."""

    outcome: Outcome
    seconds: float = 0.0  # of computing
    audio_seconds: float = 0.0
    worker: str = ""
    finished_at: float = 0.0  # seconds since 1970
    detail: dict[str, Any] | None = None  # an error, or what the stage wants shown

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of computing for each second of audio."""
        return round(self.seconds / self.audio_seconds, 6) if self.audio_seconds else None

    @property
    def settled(self) -> bool:
        """Nothing more will come of this unit in this run."""
        return self.outcome in ("computed", "cached", "failed")

    def to_json(self) -> dict[str, Any]:
        """With the real-time factor beside its two numbers."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return fields | {"real_time_factor": self.real_time_factor}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Receipt:
        """The inverse of `to_json`."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


class Ledger:
    """The receipts of each run. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def record(self, unit: Unit, receipt: Receipt) -> None:
        """Add or replace one."""
        name = _name(unit.tenant, unit.job, unit.run)
        pipe = self._redis.pipeline()
        pipe.hset(name, unit.field, json.dumps(receipt.to_json()))
        pipe.expire(name, _KEEP_SECONDS)
        pipe.execute()

    def read(self, tenant: str, job: str, run: int) -> dict[tuple[Stage, int], Receipt]:
        """All of a run's, by stage and chunk."""
        raw: Any = self._redis.hgetall(_name(tenant, job, run))
        return {
            _field(field.decode()): Receipt.from_json(json.loads(value))
            for field, value in raw.items()
        }


def _field(text: str) -> tuple[Stage, int]:
    stage, index = text.split("/")
    return Stage(stage), int(index)


def _name(tenant: str, job: str, run: int) -> str:
    return f"{_PREFIX}{tenant}/{job}/{run}"
