"""Walk over all jobs that the store has, once after a wipe and then once a day.

The walk lists jobs by the names of their objects and reads none, so a million jobs are some
thousand requests. It puts each job into the index, where its details are filled in as soon as
they are asked for, and opens again what has no end and no open marker. It keeps its place in
Redis, so that a fault or a new leader goes on from there.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status, Summary
from orchestrator.cluster.job_folder import JobFolder, job_folders
from orchestrator.cluster.job_lists import LISTED_APART
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.restoring import Restoring
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, read_record
from tasks.runs.units import Run, created_at

EVERY_SECONDS = 24 * 3600.0  # between two walks over everything
PAGE = 500  # jobs after which the place is kept
_PLACE = "scriptorium:catalog:2"  # 2: with the lists of those that ended badly
# The place is replaced, not written: after a wipe meanwhile the walk has to begin anew.
_MOVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
Place = dict[str, Any]


class Cataloguing:
    """The walk. It does not delay the restoring of open runs, which is another duty."""

    def __init__(
        self,
        cluster: Cluster,
        leading: Leading,
        restoring: Restoring,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._leading = leading
        self._restoring = restoring
        self._clock = clock
        self._redis = cluster.redis
        self._replace = cluster.redis.register_script(_MOVE)

    def walk(self) -> None:
        """Go on with the walk, or begin one if it is due; return when it has ended.

        Raises LeadLost, redis.RedisError and what the store raises; the next call goes on.
        """
        jobs = self._cluster.jobs
        if jobs.is_wiped():  # the open runs first
            return
        place = self._place()
        ended_at = place.get("ended_at")
        if ended_at is not None:
            if not jobs.lacks_ended() and 0 <= self._clock() - ended_at < EVERY_SECONDS:
                return
            place = {}
        if not place:
            place = {"walk": secrets.token_hex(8)}
            self._redis.set(_PLACE, json.dumps(place))
        begins_with = str(place.get("tenant", ""))
        for tenant in known_tenants(self._cluster.store, begins_with):
            if tenant != begins_with:
                place = self._move(place, {"tenant": tenant})
            place = self._walk_tenant(tenant, place)
        self._move(place, {"ended_at": self._clock()})
        if jobs.lacks_ended():
            jobs.restored()

    def _walk_tenant(self, tenant: str, place: Place) -> Place:
        store = self._cluster.store
        is_open = _jobs_below(store.list(f"{keys.OPEN}{tenant}/"))
        is_deleted = _jobs_below(store.list(f"{keys.DELETED}{tenant}/"))
        folders = job_folders(store, tenant, str(place.get("job", "")))
        while page := list(islice(folders, PAGE)):
            found = [it for it in page if it.is_accepted and it.job not in is_deleted]
            self._index(found)
            ended = keys.RESULT
            ours = (it for it in found if it.job not in is_open and not it.has(it.newest, ended))
            self._restoring.each(self._restoring.reopen, ours, lambda it: it.newest.name)
            place = self._move(place, {"tenant": tenant, "job": page[-1].job})
        return place

    def _move(self, place: Place, changes: Place) -> Place:
        """Keep how far the walk has come. Raises LeadLost if another walks, or after a wipe."""
        following = {"walk": place.get("walk")} | changes
        if not self._replace(keys=[_PLACE], args=[json.dumps(place), json.dumps(following)]):
            raise LeadLost
        return following

    def _index(self, folders: Sequence[JobFolder]) -> None:
        if not folders:
            return
        jobs, tenant = self._cluster.jobs, folders[0].tenant
        times = {folder.job: self._created_at(folder) for folder in folders}
        jobs.enlist(tenant, times)
        apart: dict[Status, dict[Run, float]] = {}
        for folder in folders:
            if (status := self._ended_badly(folder)) is not None:
                apart.setdefault(status, {})[folder.newest] = times[folder.job]
        for status, ended in apart.items():
            jobs.enlist_ended(tenant, status, ended)
        # A deletion that began since the folders were listed has perhaps emptied the lists before.
        for job in _jobs_below(self._cluster.store.list(f"{keys.DELETED}{tenant}/")):
            if job in times:
                jobs.forget(tenant, job)

    def _ended_badly(self, folder: JobFolder) -> Status | None:
        """Return the status of a job that has ended and is not completed.

        Such a run was canceled, and has no timings, or units of it were given up: only then the
        result is read.
        """
        run = folder.newest
        if not folder.has(run, keys.RESULT):
            return None
        if folder.has(run, "timings.json") and not any(folder.given_up(run)):
            return None
        try:
            key = keys.of_run(run, keys.RESULT)
            status = read_record(self._cluster.store, key, Summary.of_result).status
        except (ArtifactMissing, UnreadableRecord):
            return None
        return status if status in LISTED_APART else None

    def _created_at(self, folder: JobFolder) -> float:
        created = created_at(folder.job)
        if created is None:  # an id that was not made by us: its manifest says it
            try:
                created = self._cluster.records.manifest(folder.tenant, folder.job).created_at
            except ArtifactMissing:
                return 0.0
            except FAULTS as error:
                note(f"{folder.tenant}/{folder.job}", error)
                return 0.0
        return created

    def _place(self) -> Place:
        found: Any = self._redis.get(_PLACE)
        try:
            place = json.loads(found) if found else {}
        except ValueError:
            return {}
        return place if isinstance(place, dict) else {}


def _jobs_below(names: Iterator[str]) -> frozenset[str]:
    """Return the jobs of keys such as `open/<tenant>/<job>/<run>`."""
    parts = (name.split("/") for name in names)
    return frozenset(part[2] for part in parts if len(part) > 2)
