"""The index of jobs in Redis: quick to list and to read; rebuilt from the store after a wipe.

Every method may raise redis.RedisError. Nothing is kept here alone: the artifacts are the facts.
All that is known of a job that has ended expires after a day. Such jobs are listed from the store's
own index (orchestrator/cluster/ended_jobs.py), and what is asked about later is read from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.client import Pipeline

from orchestrator.cluster.admissions import Admissions, admitted_of
from orchestrator.cluster.costs import UNKNOWN, Cost
from orchestrator.cluster.job import Summary
from orchestrator.cluster.job_lists import JOB, OPEN, listing, open_of
from orchestrator.cluster.job_order import place_of
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from tasks.artifacts import ArtifactStore
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.state.receipts import CHANGED, kept_of

_KNOWN = "scriptorium:known"  # absent: Redis was wiped
_OPEN_ALONE = b"open"  # its value until the walk has looked at all jobs of the store
ENDED_SECONDS = 24 * 3600  # for which the details of a job that has ended are kept
# The newest run's number never falls: its retry may be indexed while another process, which found
# an earlier run in the store, is about to index that.
_RAISE = """
local known = tonumber(redis.call('HGET', KEYS[1], 'run') or 0)
if tonumber(ARGV[1]) > (known or 0) then redis.call('HSET', KEYS[1], 'run', ARGV[1]) end
"""


class JobIndex(Admissions):
    """An index in Redis over the jobs of the store."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self._raise = redis.register_script(_RAISE)

    def add(
        self, manifest: Manifest, run: Run, *, is_open: bool = True, cost: Cost = UNKNOWN
    ) -> None:
        """Index a job, or its next run, and list it if that is open.

        `cost` counts against quotas while the run is open.
        """
        pipe = self._redis.pipeline()
        name = _job(manifest.tenant, manifest.job)
        pipe.hset(name, "manifest", manifest.model_dump_json())
        self._raise(keys=[name], args=[run.number], client=pipe)
        if is_open:
            time, job = place_of(manifest.job, manifest.created_at)
            pipe.zadd(listing(manifest.tenant), {job: time})
            pipe.persist(name)
            pipe.sadd(OPEN, run.name)
            pipe.sadd(open_of(manifest.tenant), run.name)
            pipe.zrem(admitted_of(manifest.tenant), run.name)
            self.put_cost(run, cost, pipe)
        pipe.publish(CHANGED, f"{manifest.tenant}/{manifest.job}")
        pipe.execute()

    def find(self, tenant: str, job: str) -> tuple[Manifest, Run, Summary | None] | None:
        """Return the manifest, the newest run and its summary (None: open).

        None: it is not indexed, or not in a way that this release can read. Then ask the store.
        """
        fields: Any = self._redis.hgetall(_job(tenant, job))
        if b"manifest" not in fields:
            return None
        try:
            run = int(fields[b"run"])
            written = fields.get(f"summary/{run}".encode())
            summary = _summary(json.loads(written)) if written else None
            manifest = Manifest.of_artifact(json.loads(fields[b"manifest"]))
        except FAULTS as error:
            note(f"{tenant}/{job}", error)
            return None
        return manifest, Run(tenant, job, run), summary

    def run_number(self, tenant: str, job: str) -> int:
        """Return the number of the job's newest run, as far as Redis knows; else 1."""
        found: Any = self._redis.hget(_job(tenant, job), "run")
        return int(found) if found and found.isdigit() else 1

    def close(self, run: Run, summary: Summary) -> None:
        """Store the summary of a run that has its result, and remove it from what is open."""
        name = _job(run.tenant, run.job)

        def change(pipe: Pipeline) -> None:
            found: Any = pipe.hget(name, "run")
            newest = int(found) if found and found.isdigit() else 1
            is_newest = newest <= run.number  # else it runs again already
            pipe.multi()
            pipe.hset(name, f"summary/{run.number}", json.dumps(asdict(summary)))
            for key in (*((name,) if is_newest else ()), *kept_of(run)):
                pipe.expire(key, ENDED_SECONDS)
            if is_newest:
                pipe.zrem(listing(run.tenant), run.job)
            pipe.srem(OPEN, run.name)
            pipe.srem(open_of(run.tenant), run.name)
            self.drop_cost(run, pipe)
            pipe.publish(CHANGED, f"{run.tenant}/{run.job}")

        # Watched: a retry in between would lose its place in the list.
        self._redis.transaction(change, name)

    def drop(self, run: Run) -> None:
        """Remove a run from the open ones; what is known of its job stays."""
        pipe = self._redis.pipeline()
        pipe.srem(OPEN, run.name)
        pipe.srem(open_of(run.tenant), run.name)
        self.drop_cost(run, pipe)
        pipe.execute()

    def forget(self, tenant: str, job: str, runs: int = 1) -> None:
        """Remove a job and all its runs from the index.

        `runs`: how many the caller knows of. Redis may know fewer: another process forgets the job
        while the next run is indexed.
        """
        newest = max(runs, self.run_number(tenant, job))
        pipe = self._redis.pipeline()
        pipe.delete(_job(tenant, job))
        pipe.zrem(listing(tenant), job)
        for run in (Run(tenant, job, number) for number in range(1, newest + 1)):
            pipe.srem(OPEN, run.name)
            pipe.srem(open_of(tenant), run.name)
            self.drop_cost(run, pipe)
        pipe.publish(CHANGED, f"{tenant}/{job}")
        pipe.execute()

    def open_runs(self) -> list[Run]:
        """Return every run without a result."""
        found: Any = self._redis.smembers(OPEN)
        names = sorted(name.decode("utf-8", "replace") for name in found)
        return list(parsed_runs(names))

    def is_open(self, run: Run) -> bool:
        """Return whether it is one of the runs without a result."""
        return bool(self._redis.sismember(OPEN, run.name))

    def is_wiped(self) -> bool:
        """Return whether Redis has lost its data since `restored` was called."""
        return not self._redis.exists(_KNOWN)

    def restored(self, *, lists_ended: bool = True) -> None:
        """Set the mark whose absence later means that Redis was wiped.

        Without `lists_ended` the walk is still to look at the jobs that seem to have ended.
        """
        self._redis.set(_KNOWN, 1 if lists_ended else _OPEN_ALONE)

    def lacks_ended(self) -> bool:
        """Return whether the open runs were restored and the walk has not been over all since."""
        return self._redis.get(_KNOWN) == _OPEN_ALONE


def open_runs(store: ArtifactStore) -> Iterator[Run]:
    """Yield the runs without a result, as the store has them."""
    return parsed_runs(store.list(keys.OPEN), keys.OPEN)


def newest_run(store: ArtifactStore, tenant: str, job: str) -> Run:
    """Return the job's newest run: the highest number that an open marker or an artifact has.

    A retry may have died before it wrote `started.json`. Markers are read first: a run that ends
    in between has its result by then.
    """
    opened, prefix = f"{keys.OPEN}{tenant}/{job}/", keys.runs(tenant, job)
    numbers = [key.removeprefix(opened) for key in store.list(opened)]
    numbers += [key.removeprefix(prefix).split("/")[0] for key in store.list(prefix)]
    return Run(
        tenant, job, max((int(number) for number in numbers if number.isdecimal()), default=1)
    )


def _summary(data: dict[str, Any]) -> Summary:
    known = {name: data[name] for name in Summary.__slots__ if name in data}
    return Summary(**{**known, "warnings": tuple(data["warnings"])})


def _job(tenant: str, job: str) -> str:
    return f"{JOB}{tenant}/{job}"
