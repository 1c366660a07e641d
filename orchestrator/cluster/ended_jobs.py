"""The index of jobs that have ended, in the store: an empty object for each, whose name says all.

    ended/<tenant>/<status>/<time>/<time>-<job>

The time is the job's, counted down, so that a listing has the newest jobs first: each page is a
request for each status. A name is written before the open marker of the run goes, and to write it
again changes nothing; so a process that dies at any moment leaves a run that is open, and is ended
again. The index is derived: the daily walk (orchestrator/reconciler/cataloguing.py) compares it
with the jobs' folders, and writes what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile
from typing import Any

from orchestrator.cluster.job import Status
from orchestrator.cluster.job_order import Place, in_order, merged, place_of
from orchestrator.cluster.unreadable import FAULTS, note
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode
from tasks.runs import keys
from tasks.runs.records import Records
from tasks.runs.units import TIME_DIGITS, Run, created_at

ENDED = "ended/"
FINAL = tuple(status for status in Status if status.final)
_LAST = 16**TIME_DIGITS - 1  # milliseconds
# Digits of the time that name a folder. It has the jobs of 4.7 hours: a store in a directory reads
# and sorts a folder as a whole.
_FOLDER = 5
_OTHERS = 10  # jobs that are listed for each one that is looked for


class EndedJobs:
    """The index of one store. Methods raise what the store raises."""

    def __init__(self, store: ArtifactStore, records: Records) -> None:
        self._store = store
        self._records = records

    def place(self, tenant: str, job: str) -> Place:
        """Return a job's place in lists."""
        told = 0.0
        if created_at(job) is None:  # an id that was not made by us: its manifest says it
            try:
                told = self._records.manifest(tenant, job).created_at
            except ArtifactMissing:  # it is being deleted
                pass
            except FAULTS as error:
                note(f"{tenant}/{job}", error)
        return place_of(job, told)

    def publish(self, run: Run, result: Mapping[str, Any]) -> None:
        """Publish the result of a run that no worker ends, and count it; the first one stays."""
        if self._store.put(keys.of_run(run, keys.RESULT), encode(dict(result))):
            from tasks.telemetry.metrics import JOBS_ENDED  # most commands do not need it

            JOBS_ENDED.labels("failed" if result["error"] else "canceled").inc()

    def end(self, run: Run, status: Status) -> None:
        """Note that a job has ended so; if it did before, that is not so any more."""
        place = self.place(run.tenant, run.job)
        self.add(run.tenant, place, status)
        if run.number > 1:
            self.remove(run.tenant, place, but=status)

    def add(self, tenant: str, place: Place, status: Status) -> None:
        """Note that a job has ended so."""
        self._store.put(ended_key(tenant, place, status), b"")

    def remove(self, tenant: str, place: Place, but: Status | None = None) -> None:
        """Remove a job, or what is noted of it but one status: it ran again and ended so."""
        for status in FINAL:
            if status is not but:
                self._store.delete(ended_key(tenant, place, status))

    def newest(
        self,
        tenant: str,
        limit: int,
        before: Place | None = None,
        statuses: Sequence[Status] = FINAL,
    ) -> list[Place]:
        """Return the jobs behind a place that ended so, newest first, at most `limit`."""
        if len(statuses) == 1:
            return self._first(tenant, statuses[0], limit, before)
        with ThreadPoolExecutor(len(statuses), "ended") as threads:
            parts = list(threads.map(lambda it: self._first(tenant, it, limit, before), statuses))
        return merged(parts, limit)[:limit]

    def between(self, tenant: str, status: Status, first: float, last: float) -> Iterator[Place]:
        """Yield the jobs that ended so and were created from one time to another, newest first.

        A request lists a thousand. The times are in seconds since 1970, and included.
        """
        folder = _folder(tenant, status)
        found = self._store.list(folder, ended_key(tenant, (last, ""), status))
        places = (place for key in found if (place := _parsed(key, folder)) is not None)
        return takewhile(lambda place: place[0] >= first, places)

    def statuses(self, tenant: str, places: Collection[Place]) -> dict[str, Status]:
        """Return how these jobs have ended, by id, as far as the index says it soon.

        It lists all jobs that were created between the oldest and the newest of them; of very many
        others it lists a part alone.
        """
        found: dict[str, Status] = {}
        if not places:
            return found
        wanted, times = {job for _, job in places}, [time for time, _ in places]
        most = _OTHERS * len(places) + 1000
        for status in FINAL:
            listed = islice(self.between(tenant, status, min(times), max(times)), most)
            found |= {job: status for _, job in listed if job in wanted}
        return found

    def _first(self, tenant: str, status: Status, limit: int, before: Place | None) -> list[Place]:
        folder = _folder(tenant, status)
        after = ended_key(tenant, before, status) if before is not None else ""
        found = (_parsed(key, folder) for key in self._store.first(folder, limit, after))
        return sorted((place for place in found if place is not None), key=in_order)


def ended_key(tenant: str, place: Place, status: Status) -> str:
    """Return the name of a job that has ended."""
    time, job = place
    milliseconds = round(min(max(time, 0.0), _LAST / 1000) * 1000)  # clients may ask for any time
    left = f"{_LAST - milliseconds:0{TIME_DIGITS}x}"
    return f"{_folder(tenant, status)}{left[:_FOLDER]}/{left[_FOLDER:]}-{job}"


def _folder(tenant: str, status: Status) -> str:
    return f"{ENDED}{tenant}/{status.value}/"


def _parsed(key: str, folder: str) -> Place | None:
    """Return the place of a key that `ended_key` gave; None for a stray object."""
    left, dash, job = key.removeprefix(folder).partition("-")
    try:
        milliseconds = _LAST - int(left.replace("/", ""), 16)
    except ValueError:
        return None
    return (milliseconds / 1000, job) if dash and job else None
