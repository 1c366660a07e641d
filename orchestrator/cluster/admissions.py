"""Places for the runs of a tenant, within its quota: reserved, taken, given back.

Every method may raise redis.RedisError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

from orchestrator.cluster.costs import (
    ADMIT,
    DROP,
    PUT,
    ROOM,
    SUMS,
    UNBOUNDED,
    UNKNOWN,
    UNMEASURED,
    Bounds,
    Cost,
    costs_of,
)
from orchestrator.cluster.job_lists import OPEN, JobLists, open_of
from orchestrator.cluster.unreadable import parsed_runs
from tasks.runs.units import Run

_ADMITTED_SECONDS = 60.0  # an admitted submission that is never added loses its place after this


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a run was admitted, and what it would have passed."""

    answer: str
    """`admitted`; `full`: the cluster has no room. Else what the tenant has too much of: `quota`
    for open runs, or the name of a bound.
    """
    in_flight: Cost = UNKNOWN  # of the tenant's other runs, if it is over a bound


class Admissions(JobLists):
    """The places of open runs and of submissions that are being made, and what they cost."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self._admit = redis.register_script(ADMIT)
        self._room = redis.register_script(ROOM)
        self._put = redis.register_script(PUT)
        self._drop = redis.register_script(DROP)

    def admit(
        self,
        run: Run,
        *,
        in_all: int,
        in_flight: int,
        now: float,
        cost: Cost = UNKNOWN,
        bounds: Bounds = UNBOUNDED,
    ) -> Admission:
        """Reserve a place for a run before it is added, which takes it.

        `in_all` is the most open runs of the cluster, `in_flight` that of the tenant.
        """
        limits = [_ADMITTED_SECONDS, in_all, in_flight]
        answer, others = self._admit(
            keys=_all_keys(run.tenant),
            args=[run.name, now, *limits, *cost.numbers, *bounds.numbers],
        )
        return Admission(answer.decode(), _cost(answer.decode(), int(others)))

    def room(
        self, tenant: str, *, in_all: int, in_flight: int, now: float, bounds: Bounds = UNBOUNDED
    ) -> int:
        """Return how many jobs `admit` would admit now, if no other process submits.

        They may be fewer if they cost more than what is left of a bound.
        """
        found: Any = self._room(keys=_all_keys(tenant), args=[now - _ADMITTED_SECONDS])
        every, own, sums = found
        for used, bound in zip(_numbers(sums), bounds.numbers, strict=True):
            if bound != "" and used > 0 and used >= bound:
                return 0
        return max(0, min(in_all - int(every), in_flight - int(own)))

    def refuse(self, run: Run) -> None:
        """Give back the place of a run that was admitted but not added."""
        pipe = self._redis.pipeline()
        pipe.zrem(admitted_of(run.tenant), run.name)
        self.drop_cost(run, pipe)
        pipe.execute()

    def in_flight(self, tenant: str) -> Cost:
        """Return the sum of what the tenant's open and admitted runs cost."""
        return Cost.of_numbers(*_numbers(self._redis.hget(costs_of(tenant), SUMS)))

    def unmeasured(self) -> list[Run]:
        """Return the open runs whose cost is an estimate."""
        found: Any = self._redis.smembers(UNMEASURED)
        return list(parsed_runs(sorted(name.decode("utf-8", "replace") for name in found)))

    def put_cost(self, run: Run, cost: Cost, pipe: Pipeline | None = None) -> None:
        """Count what a run costs, in place of what was counted for it; nothing if it has ended."""
        self._put(
            keys=_keys(run), args=[run.name, *cost.numbers, int(cost.is_measured)], client=pipe
        )

    def drop_cost(self, run: Run, pipe: Pipeline | None = None) -> None:
        """Count nothing for a run any more, unless it is open."""
        self._drop(keys=_keys(run), args=[run.name], client=pipe)


def admitted_of(tenant: str) -> str:
    """Return the key of the tenant's runs that are admitted and not open yet."""
    return f"scriptorium:admitted:{tenant}"


def _all_keys(tenant: str) -> list[str]:
    return [OPEN, open_of(tenant), admitted_of(tenant), costs_of(tenant), UNMEASURED]


def _keys(run: Run) -> list[str]:
    return [open_of(run.tenant), costs_of(run.tenant), UNMEASURED]


def _numbers(sums: Any) -> tuple[int, int, int]:
    _, units, milliseconds, stored_bytes = (sums or b"0:0:0:0").decode().split(":")
    return int(units), int(milliseconds), int(stored_bytes)


def _cost(limit: str, others: int) -> Cost:
    return {
        "units": Cost(units=others),
        "audio_seconds": Cost(audio_seconds=others / 1000),
        "stored_bytes": Cost(stored_bytes=others),
    }.get(limit, Cost())
