"""Make the jobs of a collection's lines, as many as the tenant's quota has room for.

A line is submitted with an idempotency key of collection and line, so a step that is done twice,
or by two processes, gives the same jobs. What became of the lines is written in pieces, each once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from gpu_worker.errors import PermanentError, StoreRefused
from orchestrator.access import BudgetSpent, ClusterFull, QuotaExceeded
from orchestrator.access.quotas import Quota, quota_of
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.collections import places
from orchestrator.collections.acceptance import contents_of
from orchestrator.collections.records import Collection, Line, NoRoom, Outcome, UnreadableLine
from orchestrator.collections.rounds import Rounds, Wanted
from orchestrator.jobs import runs
from orchestrator.jobs.admission import room
from orchestrator.jobs.ids import keyed_job
from orchestrator.jobs.labels import checked_labels
from orchestrator.jobs.lines import gone, idempotency_key
from orchestrator.jobs.options import with_allowed_lane
from orchestrator.jobs.ready_by import ReadyByPassed
from orchestrator.jobs.sources import display_name, named_source
from orchestrator.jobs.submission import IdempotencyConflict, submit
from orchestrator.jobs.uploads import submitted, uploaded
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.units import Run
from tasks.state.claims import release

PIECE = 200  # lines in one step
THREADS = 8  # submissions at once
SHARE = 0.9  # of the quota, so that a single file of the same tenant finds room beside it
log = structlog.get_logger(__name__)


def make_some(cluster: Cluster, rounds: Rounds, record: Collection, turn: Run) -> bool:
    """Do the next lines of a round; return whether there is more to do, and room for it.

    Raises redis.RedisError and transient errors: the next call goes on.
    """
    wanted, first = rounds.wanted(record, turn), rounds.until(record, turn)
    quota = _share_of(quota_of(cluster.settings, record.tenant))
    free = room(cluster, record.tenant, quota, time.time())
    some = wanted[first : first + min(PIECE, free)]
    if not some:
        return False
    with ThreadPoolExecutor(THREADS, "collection") as threads:
        begun = [threads.submit(_one, cluster, rounds, record, it, quota) for it in some]
        done, fault = list[Outcome](), None
        for future in begun:
            try:
                done.append(future.result())
            except Exception as error:  # that of the first line that was not done
                fault = error
                threads.shutdown(cancel_futures=True)
                break
    if done:
        finish_piece(cluster, rounds, record, turn, first, done)
    if fault is not None and not isinstance(fault, NoRoom):
        raise fault
    return fault is None and first + len(done) < len(wanted)


def finish_piece(
    cluster: Cluster,
    rounds: Rounds,
    record: Collection,
    turn: Run,
    first: int,
    done: Sequence[Outcome],
) -> None:
    """Write what became of lines from a place on, and give back the files that they kept.

    But for those that a later line of the round needs too: two lines may name one upload.
    """
    data = encode({"lines": [it.to_json() for it in done]})
    cluster.store.put(places.piece(turn, first), data)
    written = rounds.take_piece(turn, first)  # an earlier process may have written another one
    lines = rounds.lines(record)
    later = rounds.wanted(record, turn)[first + len(written) :]
    needed = {it for each in later for it in contents_of(lines[each.number], record.tenant)}
    for outcome in written:
        for content in contents_of(lines[outcome.number], record.tenant):
            if content in needed:
                continue
            if outcome.job is not None:  # it has a claim of its own
                cluster.store.delete(keys.uses(record.tenant, content) + record.id)
            elif outcome.error is not None:
                release(cluster.store, cluster.leases, record.tenant, record.id, content)


def make_again(cluster: Cluster, rounds: Rounds, record: Collection, number: int, job: str) -> bool:
    """Submit a line again whose job the store has lost; return False if the job was deleted.

    It gets the same id. Without room the next call does it.
    """
    store, tenant = cluster.store, record.tenant
    if exists(store, keys.tombstone(tenant, job)) or exists(store, gone(tenant, record.id, job)):
        return False
    key = keys.idempotency(tenant, idempotency_key(record.id, number))
    if record.notes_deletions:
        store.put(key, job.encode())
    try:
        if store.get(key).decode() != job:  # a deletion removes the link
            return False
    except ArtifactMissing:
        return False
    with suppress(NoRoom):
        quota = _share_of(quota_of(cluster.settings, tenant))
        return _one(cluster, rounds, record, Wanted(number), quota).job is not None
    return True


def _one(
    cluster: Cluster, rounds: Rounds, record: Collection, wanted: Wanted, quota: Quota
) -> Outcome:
    """Submit or retry one line. Raises NoRoom, and what only passes or an operator must repair."""
    line = rounds.lines(record)[wanted.number]
    if not exists(cluster.store, places.record(record.tenant, record.id)):
        raise NoRoom  # the collection was deleted since this step began
    try:
        if wanted.job is not None:
            return _retried(cluster, record.tenant, wanted, wanted.job, quota)
        if line.error is not None:
            return Outcome(line.number, error=line.error, shown=line.shown)
        return Outcome(line.number, job=_submitted(cluster, record, line, quota))
    except (QuotaExceeded, ClusterFull, BudgetSpent) as error:
        raise NoRoom() from error
    except StoreRefused:
        raise
    except PermanentError as error:
        return Outcome(line.number, error=error.to_json(), shown=line.shown)
    except (ValueError, TypeError, LookupError) as error:  # such as an option of another release
        log.exception("line_refused", collection=record.id, line=line.number)
        refused = UnreadableLine(f"The line cannot be submitted ({type(error).__name__}).")
        return Outcome(line.number, error=refused.to_json(), shown=line.shown)


def _submitted(cluster: Cluster, record: Collection, line: Line, quota: Quota) -> str:
    tenant, settings = record.tenant, cluster.settings
    given: dict[str, Any] = {
        "source": _source(cluster, record, line),
        "options": line.job_options(record.options),
        "metadata": record.metadata | line.metadata,
        "labels": checked_labels(record.labels | line.labels),
        "ready_by": line.ready_by or record.ready_by,
    }
    if not record.is_operators:
        given["options"] = with_allowed_lane(given["options"], tenant, settings)
    key = idempotency_key(record.id, line.number)
    named: dict[str, Any] = {"tenant": tenant, "idempotency_key": key, "quota": quota}
    try:
        try:
            job = submit(cluster, **given, **named, way="collection")
        except ReadyByPassed:  # its turn came late: it is then a job like any other
            job = submit(cluster, **given | {"ready_by": None}, **named, way="collection")
    except IdempotencyConflict:
        # Accepted by an earlier step, before a setting changed: that step may have died meanwhile.
        first = cluster.records.manifest(tenant, keyed_job(cluster.store, tenant, key))
        again = {name: getattr(first, name) for name in given}
        job = submit(cluster, **again, **named, way="collection")
    if line.upload_id is not None:
        submitted(cluster, tenant, line.upload_id)
    return job.id


def _source(cluster: Cluster, record: Collection, line: Line) -> Source:
    if line.upload_id is not None:
        source = uploaded(cluster, record.tenant, line.upload_id)
        return source.model_copy(update={"name": display_name(line.name)}) if line.name else source
    if line.artifact is not None:
        return Source(name=display_name(line.name or "audio"), artifact=line.artifact)
    address = line.source or ""
    if record.is_operators and address.startswith("s3://"):  # as `scriptorium submit` does
        return Source(name=display_name(line.name or address), url=address)
    return named_source(cluster.settings, address, line.name)


def _retried(cluster: Cluster, tenant: str, wanted: Wanted, job: str, quota: Quota) -> Outcome:
    outcome = Outcome(wanted.number, job=job)
    try:
        current = cluster.job(tenant, job)
        if current.status.final and current.run == wanted.run:
            runs.retry(cluster, tenant, job, quota=quota)
    except UnknownJob:  # deleted; its state says so
        pass
    except runs.IllegalTransition as error:  # another process has retried it at this moment
        log.info("line_not_retried", job=job, reason=str(error))
    return outcome


def _share_of(quota: Quota) -> Quota:
    return replace(
        quota,
        jobs_in_flight=_whole_share(quota.jobs_in_flight),
        open_jobs=_whole_share(quota.open_jobs),
        units_in_flight=_share(quota.units_in_flight),
        audio_seconds_in_flight=_share(quota.audio_seconds_in_flight),
        bytes_in_flight=_share(quota.bytes_in_flight),
    )


def _share(bound: float | None) -> float | None:
    return None if bound is None else bound * SHARE


def _whole_share(bound: int) -> int:
    """Return the share of a number of jobs: one at least, but of none none."""
    return min(bound, max(1, int(bound * SHARE)))
