"""The index of jobs in Redis: quick to list and to read; rebuilt from the store after a wipe.

Every method may raise redis.RedisError. Nothing is kept here alone: the artifacts are the facts.
All that is known of a job that has ended expires after a day, but its id and its time: some 100
bytes. What is asked about later is read from the store again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from redis import Redis

from orchestrator.cluster.admissions import Admissions, admitted_of
from orchestrator.cluster.costs import UNKNOWN, Cost
from orchestrator.cluster.job import Status, Summary
from orchestrator.cluster.job_lists import LISTED_APART, OPEN, listing, open_of
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from tasks.artifacts import ArtifactStore
from tasks.runs import keys
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.state.receipts import CHANGED, kept_of

LISTS_ALL = "scriptorium:known"  # 1: all jobs of the store are listed; absent: Redis was wiped
_OPEN_ALONE = b"open"  # its value while jobs that have ended are not indexed again
ENDED_SECONDS = 24 * 3600  # for which the details of a job that has ended are kept

# In one script, so that a retry cannot begin between the look and the entry.
_ENLIST_ENDED = """
for i = 2, #ARGV, 3 do
  local run = redis.call('HGET', ARGV[1] .. '/' .. ARGV[i], 'run')
  if not run or tonumber(run) <= tonumber(ARGV[i + 1]) then
    redis.call('ZADD', KEYS[1], 'NX', ARGV[i + 2], ARGV[i])
  end
end
"""


class JobIndex(Admissions):
    """An index in Redis over the jobs of the store."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self._enlist_ended = redis.register_script(_ENLIST_ENDED)

    def enlist_ended(self, tenant: str, status: Status, ended: Mapping[Run, float]) -> None:
        """Add jobs to the list of those whose newest run ended so, with their times of creation.

        `ended`: these runs. A job that runs again by now, or did, is not added. `status`: one of
        LISTED_APART.
        """
        if ended:
            rows = [(run.job, run.number, created) for run, created in ended.items()]
            self._enlist_ended(
                keys=[listing(tenant, status)],
                args=[_job(tenant, "").removesuffix("/"), *(it for row in rows for it in row)],
            )

    def add(
        self, manifest: Manifest, run: Run, *, is_open: bool = True, cost: Cost = UNKNOWN
    ) -> None:
        """Index a job, or its next run; `cost` counts against quotas while the run is open."""
        pipe = self._redis.pipeline()
        name = _job(manifest.tenant, manifest.job)
        pipe.hset(name, mapping={"manifest": manifest.model_dump_json(), "run": run.number})
        pipe.zadd(listing(manifest.tenant), {manifest.job: manifest.created_at})
        if is_open:
            pipe.persist(name)
            for status in LISTED_APART:
                pipe.zrem(listing(manifest.tenant, status), manifest.job)
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
        """Store the summary of a run that has its result, and remove it from the open runs."""
        created: Any = self._redis.zscore(listing(run.tenant), run.job)
        is_newest = self.run_number(run.tenant, run.job) <= run.number  # else it runs again already
        pipe = self._redis.pipeline()
        pipe.hset(_job(run.tenant, run.job), f"summary/{run.number}", json.dumps(asdict(summary)))
        for key in (*((_job(run.tenant, run.job),) if is_newest else ()), *kept_of(run)):
            pipe.expire(key, ENDED_SECONDS)
        if is_newest:
            for status in LISTED_APART:
                pipe.zrem(listing(run.tenant, status), run.job)
        if is_newest and created is not None and summary.status in LISTED_APART:
            pipe.zadd(listing(run.tenant, summary.status), {run.job: created})
        pipe.srem(OPEN, run.name)
        pipe.srem(open_of(run.tenant), run.name)
        self.drop_cost(run, pipe)
        pipe.publish(CHANGED, f"{run.tenant}/{run.job}")
        pipe.execute()

    def drop(self, run: Run) -> None:
        """Remove a run from the open ones; its job stays indexed."""
        pipe = self._redis.pipeline()
        pipe.srem(OPEN, run.name)
        pipe.srem(open_of(run.tenant), run.name)
        self.drop_cost(run, pipe)
        pipe.execute()

    def forget(self, tenant: str, job: str) -> None:
        """Remove a job and all its runs from the index."""
        newest = self.run_number(tenant, job)
        pipe = self._redis.pipeline()
        pipe.delete(_job(tenant, job))
        for status in (None, *LISTED_APART):
            pipe.zrem(listing(tenant, status), job)
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
        return not self._redis.exists(LISTS_ALL)

    def restored(self, *, lists_ended: bool = True) -> None:
        """Set the mark whose absence later means that Redis was wiped.

        Without `lists_ended` the jobs that have ended are still to be added.
        """
        self._redis.set(LISTS_ALL, 1 if lists_ended else _OPEN_ALONE)

    def lacks_ended(self) -> bool:
        """Return whether the open runs were restored and the jobs that have ended were not yet."""
        return self._redis.get(LISTS_ALL) == _OPEN_ALONE


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
    return f"scriptorium:job:{tenant}/{job}"
