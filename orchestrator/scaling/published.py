"""The load that the reconciler measured, in Redis, for the API, the local fleet and the metrics.

Redis may be wiped: the next pass of the reconciler writes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from redis import Redis

from gpu_worker.errors import TransientError
from orchestrator.scaling.policy import Recommendation

_NAME = "scriptorium:load"
STALE_SECONDS = 90.0  # longer than any time between two passes


class LoadUnknown(TransientError):
    """The cluster's load was not measured lately."""

    code = "load_unknown"
    hint = "Is a reconciler running? Its log says what it waits for."


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """One queue: a stage in one lane."""

    depth: int  # messages waiting
    oldest_seconds: float | None = None  # how long the first message has waited; None: unknown


@dataclass(frozen=True, slots=True)
class StageBacklog:
    """One stage's part of a pool's backlog."""

    backlog_seconds: float  # of audio, waiting or in flight
    units: int  # waiting or in flight
    in_flight: int  # units
    speed: float  # seconds of audio per second, of one worker


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """One pool: its work, and how many workers it should have."""

    desired: int
    backlog_seconds: float
    in_flight: int
    minimum: int
    maximum: int
    stages: Mapping[str, StageBacklog] = field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()  # input of the next decision
    due_workers: float = 0.0  # that the work with a `ready_by` needs
    is_crowded: bool = False  # more of it is due than the largest pool can do in time


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """How many workers of a pool are alike just now."""

    pool: str
    state: str  # idle, busy or stopping
    device: str  # that their models compute on: cuda or cpu
    workers: int


@dataclass(frozen=True, slots=True)
class PublishedLoad:
    """The cluster's load at one moment."""

    measured_at: float  # seconds since 1970
    open_runs: int
    queues: Mapping[str, QueueLoad]
    pools: Mapping[str, PoolLoad]
    reissued_units: int = 0  # counted since this Redis was last empty
    workers: tuple[WorkerCount, ...] = ()


_LOAD: TypeAdapter[PublishedLoad] = TypeAdapter(PublishedLoad)


def publish(redis: Redis, load: PublishedLoad) -> None:
    """Replace the published load. May raise redis.RedisError."""
    redis.set(_NAME, _LOAD.dump_json(load))


def published(redis: Redis) -> PublishedLoad | None:
    """Return the last published load, of any age; None if there is none of this version.

    May raise redis.RedisError.
    """
    raw: Any = redis.get(_NAME)
    try:
        return _LOAD.validate_json(raw) if raw else None
    except ValidationError:
        return None


def fresh_load(redis: Redis, now: float) -> PublishedLoad:
    """Return the load if it is at most 90 s old. Raises LoadUnknown; may raise redis.RedisError."""
    load = published(redis)
    if load is None:
        raise LoadUnknown()
    age = now - load.measured_at
    if age > STALE_SECONDS:
        raise LoadUnknown(f"The cluster's load was measured {age:.0f} s ago.")
    return load


def load_to_json(load: PublishedLoad) -> dict[str, Any]:
    """Return the whole load as the API and the command line show it."""
    return {
        "object": "load",
        "measured_at": load.measured_at,
        "open_jobs": load.open_runs,
        "queues": [
            dict(zip(("stage", "lane"), name.split("."), strict=True)) | asdict(queue)
            for name, queue in load.queues.items()
        ],
        "pools": [pool_to_json(name, load) for name in load.pools],
    }


def pool_to_json(name: str, load: PublishedLoad) -> dict[str, Any]:
    """Return one pool, without the input of the next decision."""
    pool = load.pools[name]
    return {
        "object": "pool",
        "pool": name,
        "desired": pool.desired,
        "minimum": pool.minimum,
        "maximum": pool.maximum,
        "due_workers": pool.due_workers,
        "is_crowded": pool.is_crowded,
        "backlog_seconds": pool.backlog_seconds,
        "in_flight": pool.in_flight,
        "stages": [{"stage": stage} | asdict(one) for stage, one in pool.stages.items()],
        "measured_at": load.measured_at,
    }
