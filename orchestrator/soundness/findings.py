"""What is unsound in a store, and what makes it sound. Pure.

Nothing here deletes what a job has: a half job gets a tombstone, and the deletion that follows
releases its contents as any deletion does. What goes on by itself is no finding: a run with an open
marker and a result is closed, units without an artifact are computed, a source that is lost fails
its job with `source_missing`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from orchestrator.cluster.ended_jobs import ended_key
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_folder import JobFolder
from orchestrator.cluster.job_order import Place
from orchestrator.collections import places
from tasks.artifacts import encode
from tasks.runs import keys, usage_keys
from tasks.runs.stages import Stage
from tasks.runs.units import Run


class Kind(StrEnum):
    """What is unsound."""

    RUN_NOT_OPEN = "run_not_open"  # it has neither an end nor an open marker
    EARLIER_RUN_OPEN = "earlier_run_open"  # the open marker of a run that a retry has followed
    REST_OF_JOB = "rest_of_job"  # a job without its manifest
    AUDIO_LOST = "audio_lost"  # an open run's plan names decoded audio that is not there
    LANGUAGE_LOST = "language_lost"  # its models were chosen, and the language is not there
    NOT_CLAIMED = "not_claimed"  # a content that a job needs, without its claim
    KEY_LOST = "key_lost"  # the link from an idempotency key to its job
    SOURCE_LOST = "source_lost"  # an open run will end as `source_missing`
    UNREADABLE = "unreadable"  # a record of it cannot be read
    USE_NOT_COUNTED = "use_not_counted"  # it has ended, and there is no record of its use
    NOT_OWED = "not_owed"  # it has ended, and its webhook or output is neither delivered nor owed
    INDEX_WRONG = "index_wrong"  # the index of ended jobs lacks it, or says otherwise
    ROUND_NOT_OPEN = "round_not_open"  # of a collection: neither an end nor an open marker
    ROUND_NOT_OWED = "round_not_owed"  # its webhook is neither delivered nor owed
    LIST_LOST = "list_lost"  # a collection without its lines
    REST_OF_COLLECTION = "rest_of_collection"  # a collection without its record
    REST_OF_CONTENT = "rest_of_content"  # a content that no job claims
    STRAY = "stray"  # an object among the claims that is no claim


class Action(StrEnum):
    """What makes it sound."""

    NOTHING = "nothing"  # it ends by itself, or a person must look
    WRITE = "write"  # the finding's content under its key
    DELETE = "delete"  # the key
    BURY = "bury"  # write a tombstone: a deletion removes the rest
    LIST = "list"  # make the index say `status`


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is unsound: its kind, its key, and what to do."""

    kind: Kind
    key: str
    action: Action
    tenant: str = ""
    job: str = ""
    content: bytes = b""  # to write
    contents: tuple[str, ...] = ()  # that a tombstone releases
    status: Status | None = None  # for the index
    place: Place | None = None  # of the job there


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job, by the names of its objects."""

    folder: JobFolder
    opened: Set[int]  # its runs with an open marker
    elsewhere: Set[str] = frozenset()  # its other keys in the folders that all jobs share
    is_deleted: bool = False  # there is a tombstone
    is_young: bool = False  # perhaps it is just being submitted
    claims: tuple[str, ...] = ()  # contents that it claims

    @property
    def newest(self) -> Run:
        """The newest run, by all names."""
        found = self.folder.newest
        return Run(found.tenant, found.job, max({found.number, *self.opened}))

    @property
    def has_result(self) -> bool:
        """Whether the newest run has its result, and is closed."""
        return self.folder.has(self.newest, keys.RESULT) and not self.opened


def has_end(folder: JobFolder, run: Run) -> bool:
    """Tell whether the end of a run is written, with its result or before it."""
    last = (Stage.ASSEMBLE, 0)
    written = folder.has(run, keys.RESULT) or folder.has(run, "canceled")
    return written or last in folder.given_up(run)


def job_findings(facts: JobFacts) -> tuple[Finding, ...]:
    """Return what is unsound of a job, by names alone."""
    folder, newest = facts.folder, facts.newest
    finding = partial(Finding, tenant=folder.tenant, job=folder.job)
    if facts.is_deleted or facts.is_young:
        return ()
    if not folder.is_accepted:
        if not (folder.names or facts.opened or facts.elsewhere or facts.claims):
            return ()
        key = keys.job(folder.tenant, folder.job)
        return (finding(Kind.REST_OF_JOB, key, Action.BURY, contents=facts.claims),)
    found = [
        finding(Kind.EARLIER_RUN_OPEN, keys.open_run(run), Action.DELETE)
        for run in (replace(newest, number=number) for number in sorted(facts.opened))
        if run.number < newest.number and not has_end(folder, run)
    ]
    if newest.number not in facts.opened and not folder.has(newest, keys.RESULT):
        found.append(finding(Kind.RUN_NOT_OPEN, keys.open_run(newest), Action.WRITE))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class EndFacts:
    """What is known of the end of a job whose newest run has its result and is closed."""

    run: Run
    is_counted: bool  # its use, in a record or a pack, or it is marked to be counted
    owes: bool  # a webhook or an output, of which nothing says so
    status: Status | None  # None: its result cannot be read
    listed: Set[Status]  # in the index of ended jobs
    place: Place  # in that index
    now: float  # seconds since 1970, for markers


def end_findings(facts: EndFacts) -> tuple[Finding, ...]:
    """Return what is unsound of a job that has ended."""
    run, found = facts.run, list[Finding]()
    finding = partial(Finding, tenant=run.tenant, job=run.job)
    marker = _stamp("ended_at", facts.now)
    if not facts.is_counted:
        key = usage_keys.uncounted(run)
        found.append(finding(Kind.USE_NOT_COUNTED, key, Action.WRITE, content=marker))
    if facts.owes:
        key = keys.owed(run)
        found.append(finding(Kind.NOT_OWED, key, Action.WRITE, content=marker))
    if facts.status is not None and facts.listed != {facts.status}:
        key, right = ended_key(run.tenant, facts.place, facts.status), facts.status
        wrong = finding(Kind.INDEX_WRONG, key, Action.LIST, status=right, place=facts.place)
        found.append(wrong)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What the records of an open run name, and what of it is there."""

    run: Run
    lost_audio: tuple[str, ...] = ()  # keys of decoded audio that its plan names
    lacks_language: bool = False  # its models are chosen, and the language is not there
    lost_sources: tuple[str, ...] = ()  # keys of uploaded files that it still needs
    not_claimed: tuple[str, ...] = ()  # keys of claims
    lost_key: str = ""  # of the link from its idempotency key
    unreadable: str = ""  # the key of a record that cannot be read


def open_findings(facts: RecordFacts) -> tuple[Finding, ...]:
    """Return what is unsound of what an open run needs.

    A plan whose audio is lost is forgotten, so that `prepare` makes the same one again; likewise a
    choice whose language is lost.
    """
    run = facts.run
    finding = partial(Finding, tenant=run.tenant, job=run.job)
    if facts.unreadable:
        return (finding(Kind.UNREADABLE, facts.unreadable, Action.NOTHING),)
    found = [finding(Kind.SOURCE_LOST, it, Action.NOTHING) for it in facts.lost_sources]
    if facts.lost_audio:
        plan = keys.plan(run.tenant, run.job)
        found.append(finding(Kind.AUDIO_LOST, plan, Action.DELETE))
    if facts.lacks_language:
        choice = keys.of_run(run, keys.CHOICE)
        found.append(finding(Kind.LANGUAGE_LOST, choice, Action.DELETE))
    found += [finding(Kind.NOT_CLAIMED, key, Action.WRITE) for key in facts.not_claimed]
    if facts.lost_key:
        link = run.job.encode()
        found.append(finding(Kind.KEY_LOST, facts.lost_key, Action.WRITE, content=link))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """One collection, by its names and its record."""

    turn: Run  # its newest round
    has_record: bool
    has_lines: bool
    has_names: bool  # anything in its folder
    opened: Set[int] = frozenset()  # rounds with an open marker
    has_ended: bool = False  # the newest round
    is_delivered: bool = True  # its webhook, if it has one; or it is owed
    is_deleted: bool = False  # or its deletion goes on
    is_young: bool = False  # perhaps it is just being accepted
    now: float = 0.0


def collection_findings(facts: CollectionFacts) -> tuple[Finding, ...]:
    """Return what is unsound of a collection.

    What a request has left that was not accepted gets an old open marker: then the reconciler drops
    it (`orchestrator/reconciler/collecting.py`).
    """
    turn = facts.turn
    finding = partial(Finding, tenant=turn.tenant, job=turn.job)
    if facts.is_deleted or facts.is_young:
        return ()
    key = places.open_round(turn)
    if not facts.has_record:
        if facts.opened or not facts.has_names:  # the marker's age decides
            return ()
        old = places.marker(0.0)
        return (finding(Kind.REST_OF_COLLECTION, key, Action.WRITE, content=old),)
    if not facts.has_lines:
        lost = places.lines(turn.tenant, turn.job)
        return (finding(Kind.LIST_LOST, lost, Action.BURY),)
    if turn.number in facts.opened:
        return ()
    if not facts.has_ended:
        marker = places.marker(facts.now)
        return (finding(Kind.ROUND_NOT_OPEN, key, Action.WRITE, content=marker),)
    if not facts.is_delivered:
        key, owed = places.OWED + turn.name, _stamp("ended_at", facts.now)
        return (finding(Kind.ROUND_NOT_OWED, key, Action.WRITE, content=owed),)
    return ()


def content_findings(tenant: str, content: str, job: str) -> tuple[Finding, ...]:
    """Return the finding of a content that no job claims; `job` is an id for its tombstone."""
    key = keys.uses(tenant, content)
    return (Finding(Kind.REST_OF_CONTENT, key, Action.BURY, tenant, job, contents=(content,)),)


def _stamp(name: str, now: float) -> bytes:
    return encode({name: round(now, 3)})
