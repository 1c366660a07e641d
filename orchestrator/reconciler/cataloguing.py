"""Walk over all jobs that the store has, once after a wipe and then once a day.

The walk lists jobs by the names of their objects and reads few, so a million jobs are some
thousand requests. It makes the store's index of ended jobs complete, makes sound what a copy of a
bucket in use has mixed up (`orchestrator/soundness`), and removes from Redis's list what is not
open. It keeps its place in Redis, so that a fault or a new leader goes on from there.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import job_folders
from orchestrator.reconciler.indexing import Indexing
from orchestrator.reconciler.leading import Leading, LeadLost
from orchestrator.reconciler.mending import Mending
from orchestrator.reconciler.restoring import Restoring
from orchestrator.soundness.collections import collections_of
from orchestrator.soundness.findings import JobFacts, job_findings
from tasks.runs import keys

EVERY_SECONDS = 24 * 3600.0  # between two walks over everything
PAGE = 500  # jobs after which the place is kept
_PLACE = "scriptorium:catalog:3"  # 3: with the index in the store
_EARLIER = "scriptorium:catalog:2"
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
        self._indexing = Indexing(cluster, restoring)
        self._mending = Mending(cluster, restoring, clock)
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
        place, now = self._place(), self._clock()
        ended_at = place.get("ended_at")
        if ended_at is not None:
            due_at = min(ended_at + EVERY_SECONDS, place.get("again_at", float("inf")))
            if not jobs.lacks_ended() and ended_at <= now < due_at:
                return
            place = {}
        if not place:
            place = {"walk": secrets.token_hex(8)}
            self._redis.set(_PLACE, json.dumps(place))
            self._redis.delete(_EARLIER)
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
        opened = _runs_below(store.list(f"{keys.OPEN}{tenant}/"))
        is_deleted = _runs_below(store.list(f"{keys.DELETED}{tenant}/")).keys()
        after = str(place.get("job", ""))
        folders = job_folders(store, tenant, after)
        while page := list(islice(folders, PAGE)):
            self._indexing.compare(tenant, after, page, opened.keys() | is_deleted)
            facts = [
                JobFacts(it, opened.get(it.job, set()), is_deleted=it.job in is_deleted)
                for it in page
            ]
            unsound = (it.folder for it in facts if job_findings(it))
            self._restoring.each(self._mending.mend_job, unsound, lambda it: it.newest.name)
            after = page[-1].job
            place = self._move(place, {"tenant": tenant, "job": after})
        self._cluster.jobs.tidy(tenant)  # what has ended can be found in the store by now
        names = collections_of(store, tenant)
        self._restoring.each(partial(self._mending.mend_collection, tenant), names, str)
        return place

    def _move(self, place: Place, changes: Place) -> Place:
        """Keep how far the walk has come. Raises LeadLost if another walks, or after a wipe."""
        following = {"walk": place.get("walk")} | changes
        if (again_at := self._mending.again_at(place.get("again_at"))) is not None:
            following["again_at"] = again_at
        if not self._replace(keys=[_PLACE], args=[json.dumps(place), json.dumps(following)]):
            raise LeadLost
        return following

    def _place(self) -> Place:
        found: Any = self._redis.get(_PLACE)
        try:
            place = json.loads(found) if found else {}
        except ValueError:
            return {}
        return place if isinstance(place, dict) else {}


def _runs_below(names: Iterator[str]) -> dict[str, set[int]]:
    """Return by job the runs of keys such as `open/<tenant>/<job>/<run>`."""
    found: dict[str, set[int]] = {}
    for _, _, job, *run in (name.split("/") for name in names if name.count("/") > 1):
        found.setdefault(job, set()).update(int(it) for it in run if it.isdecimal())
    return found
