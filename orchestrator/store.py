"""The jobs in Redis: fast to list and to ask, and rebuilt from the store when Redis is wiped.

Raises redis.RedisError from every method; what cannot be lost is an artifact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from redis import Redis

from orchestrator.jobs import Summary
from tasks.artifacts import ArtifactStore, keys
from tasks.manifest import Manifest
from tasks.stages import Stage, Unit

_OPEN = "scriptorium:open"
_MARK = "scriptorium:known"


class JobStore:
    """An index over the job artifacts."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def add(self, manifest: Manifest, run: int, *, is_open: bool = True) -> None:
        """Index a job, or its next run."""
        pipe = self._redis.pipeline()
        name = _job(manifest.tenant, manifest.job)
        pipe.hset(name, mapping={"manifest": manifest.model_dump_json(), "run": run})
        pipe.zadd(_listing(manifest.tenant), {manifest.job: manifest.created_at})
        if is_open:
            pipe.sadd(_OPEN, f"{manifest.tenant}/{manifest.job}/{run}")
        pipe.execute()

    def find(self, tenant: str, job: str) -> tuple[Manifest, int, Summary | None] | None:
        """The manifest, the newest run, and what it came to if it has ended."""
        fields: Any = self._redis.hgetall(_job(tenant, job))
        if b"manifest" not in fields:
            return None
        run = int(fields[b"run"])
        written = fields.get(f"summary/{run}".encode())
        summary = _summary(json.loads(written)) if written else None
        return Manifest.model_validate_json(fields[b"manifest"]), run, summary

    def close(self, unit: Unit, summary: Summary) -> None:
        """The run has its result."""
        pipe = self._redis.pipeline()
        pipe.hset(_job(unit.tenant, unit.job), f"summary/{unit.run}", json.dumps(asdict(summary)))
        pipe.srem(_OPEN, f"{unit.tenant}/{unit.job}/{unit.run}")
        pipe.execute()

    def newest(self, tenant: str, limit: int, offset: int = 0) -> list[str]:
        """Job ids, newest first."""
        found: Any = self._redis.zrevrange(_listing(tenant), offset, offset + limit - 1)
        return [job.decode() for job in found]

    def open_runs(self) -> list[Unit]:
        """Every run without a result, as its assemble unit."""
        found: Any = self._redis.smembers(_OPEN)
        return sorted((_run(name.decode()) for name in found), key=lambda unit: unit.name)

    def is_wiped(self) -> bool:
        """Redis has forgotten us since `restored`."""
        return not self._redis.exists(_MARK)

    def restored(self) -> None:
        """From now on a missing mark means a wipe."""
        self._redis.set(_MARK, 1)


def open_runs(store: ArtifactStore) -> Iterator[Unit]:
    """The runs without a result, as the store has them."""
    for key in store.list(keys.OPEN):
        yield _run(key.removeprefix(keys.OPEN))


def newest_run(store: ArtifactStore, tenant: str, job: str) -> int:
    """1, or the highest run that a retry has started."""
    prefix = keys.runs(tenant, job)
    started = {
        int(key.removeprefix(prefix).split("/")[0])
        for key in store.list(prefix)
        if key.endswith("/started.json")
    }
    return max(started, default=1)


def known_jobs(store: ArtifactStore, tenant: str) -> Iterator[str]:
    """Every job of a tenant, as the store has them."""
    prefix = keys.jobs(tenant)
    for key in store.list(prefix):
        job, _, rest = key.removeprefix(prefix).partition("/")
        if rest == "manifest.json":
            yield job


def _summary(data: dict[str, Any]) -> Summary:
    return Summary(**{**data, "warnings": tuple(data["warnings"])})


def _run(name: str) -> Unit:
    tenant, job, run = name.split("/")
    return Unit(tenant, job, int(run), Stage.ASSEMBLE)


def _job(tenant: str, job: str) -> str:
    return f"scriptorium:job:{tenant}/{job}"


def _listing(tenant: str) -> str:
    return f"scriptorium:jobs:{tenant}"
