"""Receipts, which say how units ended, and the ledger in Redis that keeps those of a run.

Receipts are hints for progress and status. The artifacts are the facts, and the ledger can be
written again from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from redis import Redis

from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

CHANGED = "scriptorium:changed"  # published: tenant/job, whenever one of these has changed

RECEIPTS = "scriptorium:receipts:"  # before a run's name: the key of its receipts
_HISTORY = "scriptorium:history:"
_KEEP_SECONDS = 30 * 24 * 3600
_STAGES = frozenset(stage.value for stage in Stage)

# A unit that settles for the first time adds an entry to the run's history. A client that
# follows events continues at the last entry that it has seen.
RECORD = """
local function record(receipts, history, unit, receipt, seconds, channel, job)
  local is_new = redis.call('HSET', receipts, unit, receipt)
  redis.call('EXPIRE', receipts, seconds)
  if is_new == 1 then
    redis.call('XADD', history, '*', 'unit', unit)
    redis.call('EXPIRE', history, seconds)
    redis.call('PUBLISH', channel, job)
  end
end
"""

# For each run twice the number of its receipts, and one more if `assemble` is among them.
_COUNT = """
local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('HLEN', key) * 2 + redis.call('HEXISTS', key, ARGV[1])
end
return found
"""
_COUNTED = 1000  # runs in one call

Outcome = Literal[
    "computed",
    "cached",  # the artifact was there
    "failed",  # given up; the failure is an artifact
    "canceled",
    "elsewhere",  # another worker holds the lease
    "incomplete",  # a fan-in began before its inputs were there
]


@dataclass(frozen=True, slots=True)
class Receipt:
    """How one unit ended."""

    outcome: Outcome
    seconds: float = 0.0  # of computing
    audio_seconds: float = 0.0
    worker: str = ""
    finished_at: float = 0.0  # seconds since 1970
    detail: dict[str, Any] | None = None  # an error, or facts of the stage to show
    use: dict[str, Any] | None = None  # of the device and the store; only in artifacts

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of computing for each second of audio."""
        return round(self.seconds / self.audio_seconds, 6) if self.audio_seconds else None

    @property
    def settled(self) -> bool:
        """Whether the unit has ended for good in this run."""
        return self.outcome in ("computed", "cached", "failed")

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set, and the real-time factor."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return fields | {"real_time_factor": self.real_time_factor}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Receipt:
        """Read what `to_json` gives; ignore unknown fields."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


class Ledger:
    """The receipts of each run. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._record = redis.register_script(
            f"{RECORD} return record(KEYS[1], KEYS[2], unpack(ARGV))"
        )
        self._count = redis.register_script(_COUNT)

    def record(self, unit: Unit, receipt: Receipt) -> None:
        """Add or replace the unit's receipt, and publish the job's change if it is new."""
        self._record(keys=kept_of(unit.run), args=record_arguments(unit, receipt))

    def forget(self, run: Run) -> None:
        """Drop a run's receipts and its history."""
        self._redis.delete(*kept_of(run))

    def history(self, run: Run) -> list[tuple[str, tuple[Stage, int]]]:
        """Return the settled units in order, each with a Redis stream id, by which they sort."""
        entries: Any = self._redis.xrange(_HISTORY + run.name)
        units = ((name.decode(), _field(entry.get(b"unit", b""))) for name, entry in entries)
        return [(name, unit) for name, unit in units if unit is not None]

    def read(self, run: Run) -> dict[tuple[Stage, int], Receipt]:
        """Return a run's receipts by stage and index."""
        return _receipts(self._redis.hgetall(RECEIPTS + run.name))

    def read_all(self, runs: Sequence[Run]) -> list[dict[tuple[Stage, int], Receipt]]:
        """Return the receipts of several runs in one request, in the runs' order."""
        pipe = self._redis.pipeline(transaction=False)
        for run in runs:
            pipe.hgetall(RECEIPTS + run.name)
        return [_receipts(raw) for raw in pipe.execute()]

    def counts(self, runs: Sequence[Run]) -> list[tuple[int, bool]]:
        """Return for each run its number of receipts, and whether `assemble` has one.

        It costs little, so that it can be asked about every open run at each pass.
        """
        counts: list[tuple[int, bool]] = []
        last = Unit(Run("", "", 0), Stage.ASSEMBLE).key_in_run
        for first in range(0, len(runs), _COUNTED):
            names = [RECEIPTS + run.name for run in runs[first : first + _COUNTED]]
            found: Any = self._count(keys=names, args=[last])
            counts += [(number // 2, number % 2 == 1) for number in found]
        return counts


def kept_of(run: Run) -> tuple[str, str]:
    """Return the keys in Redis of a run's receipts and of their history."""
    return RECEIPTS + run.name, _HISTORY + run.name


def record_arguments(unit: Unit, receipt: Receipt) -> list[Any]:
    """Return the arguments of RECORD behind the two keys."""
    job = f"{unit.run.tenant}/{unit.run.job}"
    told = replace(receipt, use=None).to_json()  # the artifact keeps what was used
    return [unit.key_in_run, json.dumps(told), _KEEP_SECONDS, CHANGED, job]


def _receipts(raw: Any) -> dict[tuple[Stage, int], Receipt]:
    """Return the receipts without those that cannot be read: a later release has other stages.

    A receipt is a hint, so to pass over a broken one costs a look at the artifact.
    """
    found = {}
    for field, value in raw.items():
        unit = _field(field)
        if unit is not None:
            with suppress(ValueError, TypeError, AttributeError):
                found[unit] = Receipt.from_json(json.loads(value))
    return found


def _field(name: bytes) -> tuple[Stage, int] | None:
    stage, _, index = name.decode("utf-8", "replace").partition("/")
    return (Stage(stage), int(index)) if stage in _STAGES and index.isdecimal() else None


def sum_timings(receipts: Sequence[Mapping[str, Any]], run: Run) -> dict[str, Any]:
    """Sum the receipts of one stage's units, for the `timings` of a transcript. Pure.

    `cached` counts the units that an earlier job or run computed: their seconds belong to that
    run and are not summed here.
    """
    ours = [receipt for receipt in receipts if receipt["detail"]["unit"].startswith(f"{run.name}/")]
    seconds = sum(receipt["seconds"] for receipt in ours)
    audio = sum(receipt["audio_seconds"] for receipt in ours)
    return {
        "units": len(receipts),
        "cached": len(receipts) - len(ours),
        "seconds": round(seconds, 3),
        "audio_seconds": round(audio, 3),
        "real_time_factor": round(seconds / audio, 6) if audio else None,
    }
