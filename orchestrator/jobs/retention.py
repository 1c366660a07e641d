"""Delete what is older than its tenant's rules allow, by kind, and nothing that is needed.

    source        the file as it was submitted or uploaded
    audio         the decoded audio
    checkpoints   what stages made of it: texts of chunks, voices, languages
    transcripts   the whole job, with all of the others

A job's age is the time since its submission, or since its last retry. Contents are shared, so a
content goes when all jobs that claim it are over and old enough; it goes under the mark that
every claim waits for (`tasks/state/claims.py`), and a whole job under a mark of its own, which
every retry waits for. A run that begins meanwhile has its open marker
before its claim, and a deletion looks for such markers again and again: of both at least one sees
the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from config.settings import Settings
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job_folder import JobFolder, job_folder
from orchestrator.jobs.deletion import contents_of, delete_job, remove_shadow
from orchestrator.jobs.holds import JobHeld, is_held
from orchestrator.trail.entry import Entry
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.units import created_at
from tasks.state.claims import expire, marked

SOURCE, AUDIO, CHECKPOINTS, TRANSCRIPTS = "source", "audio", "checkpoints", "transcripts"
COLLECTION = "collection"  # goes by the rule of transcripts
OF_CONTENTS = (SOURCE, AUDIO, CHECKPOINTS)
DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Gone:
    """What went by the rules, or would go: a kind of one job, or a collection."""

    tenant: str
    job: str  # or a collection's id
    kind: str
    artifacts: int
    age_seconds: float


def ages(settings: Settings, tenant: str) -> dict[str, float]:
    """Return the age in seconds at which each kind goes; empty: everything is kept."""
    rules = settings.retention
    return {
        str(kind): days * DAY_SECONDS
        for kind, days in rules.get(tenant, rules.get("*", {})).items()
    }


class Retention:
    """Applies the rules to one job at a time; threads may share it.

    Every method may raise redis.RedisError and what the store and the records raise.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._clock = clock

    def is_young(self, tenant: str, job: str) -> bool:
        """Tell, by its id alone, whether no rule can have an effect on a job."""
        created = created_at(job)
        rules = ages(self._cluster.settings, tenant).values()
        return created is not None and self._clock() - created < min(rules, default=float("inf"))

    def apply(self, folder: JobFolder, *, dry_run: bool = False) -> list[Gone]:
        """Delete what is due of a job; return what went, or with `dry_run` what would go."""
        rules = ages(self._cluster.settings, folder.tenant)
        if self._is_done(folder, rules):
            return []
        age = self._age_if_over(folder)
        due = [kind for kind, seconds in rules.items() if age is not None and age >= seconds]
        if age is None or not due or self._is_held(folder.tenant, folder.job):
            return []
        if TRANSCRIPTS in due and not self._is_owed(folder):
            gone = {TRANSCRIPTS: len(folder.names)}
            if not dry_run and not self._delete(folder, rules[TRANSCRIPTS]):
                return []
        else:
            if not dry_run and due != [SOURCE]:  # a shadow has a copy of the rest
                remove_shadow(self._cluster, folder.tenant, folder.job)
            gone = self._expired(folder, [kind for kind in OF_CONTENTS if kind in due], dry_run)
        made = [Gone(folder.tenant, folder.job, kind, count, age) for kind, count in gone.items()]
        if not dry_run:
            for one in made:
                note_gone(self._cluster, one)
        return made

    def _delete(self, folder: JobFolder, rule: float) -> bool:
        """Delete a job, unless it runs again since it was looked at: a retry waits, or is seen."""
        cluster, tenant, job = self._cluster, folder.tenant, folder.job
        with marked(cluster.store, cluster.leases, tenant, job) as is_ours:
            if not is_ours or not self._is_past(tenant, job, rule):
                return False
            try:
                delete_job(cluster, tenant, job, is_marked=True)
            except (JobHeld, UnknownJob):  # held, or deleted, since just now
                return False
        return True

    def _is_done(self, folder: JobFolder, rules: dict[str, float]) -> bool:
        """Tell, by names alone, whether all that can be due of a job has gone already."""
        created = created_at(folder.job)
        if created is None:
            return False
        due = [kind for kind, seconds in rules.items() if self._clock() - created >= seconds]
        return all(folder.has(folder.newest, f"expired/{kind}") for kind in due)

    def _expired(self, folder: JobFolder, due: list[str], dry_run: bool) -> dict[str, int]:
        """Delete kinds of a job's contents; return how many artifacts of each went."""
        marks = [keys.of_run(folder.newest, f"expired/{kind}") for kind in due]
        known = {keys.job(folder.tenant, folder.job) + name for name in folder.names}
        if known.issuperset(marks):  # done; what others make of the same audio later is theirs
            return {}
        store, tenant, gone, is_whole = self._cluster.store, folder.tenant, dict[str, int](), True
        records = self._cluster.records
        for content, parts in contents_of(store, records, tenant, folder.job, known).items():
            for kind in due:
                rule = ages(self._cluster.settings, tenant)[kind]

                def is_free(users: Iterable[str], rule: float = rule) -> bool:
                    return all(self._is_past(tenant, user, rule) for user in users)

                found = list(self._keys(tenant, content, kind))
                if not found:
                    continue
                if dry_run:
                    claims = store.list(keys.uses(tenant, content))
                    users = [key.rpartition("/")[2] for key in claims]
                    count = len(found) if is_free(users) else 0
                else:
                    whole = expire(
                        store, self._cluster.leases, tenant, parts or (content,), found, is_free
                    )
                    count, is_whole = len(found) if whole else 0, is_whole and whole
                if count:
                    gone[kind] = gone.get(kind, 0) + count
        if is_whole and not dry_run:
            for mark in marks:
                store.put(mark, b"")
        return gone

    def _keys(self, tenant: str, content: str, kind: str) -> Iterator[str]:
        """Yield the artifacts of a content that are of this kind."""
        store = self._cluster.store
        prepared, made = keys.made_of(tenant, content)
        if kind == SOURCE:
            whole = (keys.source(tenant, content), keys.upload(tenant, content))
            yield from (key for key in whole if exists(store, key))
        elif kind == AUDIO:
            yield from store.list(prepared)
            yield from store.list(keys.pcm(tenant, content))
        else:
            pcm = keys.pcm(tenant, content)
            yield from (key for key in store.list(made) if key != pcm)

    def _is_past(self, tenant: str, job: str, rule: float) -> bool:
        """Tell whether a job that claims a content needs it no more."""
        age = self._age_if_over(job_folder(self._cluster.store, tenant, job))
        return age is not None and age >= rule and not self._is_held(tenant, job)

    def _age_if_over(self, folder: JobFolder) -> float | None:
        """Return a job's age in seconds; None: it is open, or is being submitted or deleted."""
        store, run = self._cluster.store, folder.newest
        if not folder.is_accepted or not folder.has(run, keys.RESULT):
            return None
        if next(iter(store.list(f"{keys.OPEN}{folder.tenant}/{folder.job}/")), None) is not None:
            return None
        if exists(store, keys.tombstone(folder.tenant, folder.job)):
            return None
        try:
            if run.number > 1:
                key = keys.of_run(run, "started.json")
                began = read_record(store, key, lambda data: float(data["started_at"]))
            else:  # the id of a key's job is older, if it was refused at first
                began = self._cluster.records.manifest(folder.tenant, folder.job).created_at
        except ArtifactMissing:
            return None
        return self._clock() - began

    def _is_held(self, tenant: str, job: str) -> bool:
        return is_held(self._cluster.store, tenant, job)

    def _is_owed(self, folder: JobFolder) -> bool:
        """Tell whether a webhook or an output is still to be delivered."""
        owed = self._cluster.store.list(f"{keys.OUTBOX}{folder.tenant}/{folder.job}/")
        return next(iter(owed), None) is not None


def note_gone(cluster: Cluster, one: Gone) -> None:
    """Enter what went into the audit trail."""
    days = one.age_seconds // DAY_SECONDS
    details = {"kind": one.kind, "artifacts": one.artifacts, "age_days": days}
    job: str | None = one.job
    if one.kind == COLLECTION:
        job, details = None, {"collection": one.job, **details}
    entry = Entry("retention.delete", one.tenant, "scriptorium", job=job, details=details)
    cluster.trail.note(entry)
