"""One delivery step for an ended run: choose the next part, try it, record the outcome.

A try is counted by an artifact before it is made, so that one that kills its process counts
too; the outcome is an artifact as well. Two processes doing the same step do no harm: files
are written again with the same bytes, and a webhook has the same id each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpcore
import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Summary
from orchestrator.outbox.outputs import write_outputs
from orchestrator.outbox.schedule import (
    DONE,
    EXPIRED,
    MAX_TRIES,
    Outcome,
    Step,
    has_waited_long,
    of_error,
    step_of,
    verdict,
)
from orchestrator.outbox.webhooks import event, send
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.runs import keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.telemetry.metrics import DELIVERIES_GIVEN_UP

OUTPUT, WEBHOOK = "output", "webhook"  # in this order: a webhook's receiver finds the files
BUSY_SECONDS = 30.0  # pause after another process has counted the same try
log = structlog.get_logger(__name__)


def deliver(
    cluster: Cluster,
    run: Run,
    webhooks: Callable[[], httpcore.ConnectionPool],
    *,
    may_try: bool = True,
) -> Step:
    """Make one try; without `may_try` none, and only give up what has waited for too long.

    Raises redis.RedisError and the store's errors if it cannot be read what is owed, and
    UnreadableRecord if another release may be able to.
    """
    store = cluster.store
    try:
        ended_at = read_record(store, keys.owed(run), lambda data: float(data["ended_at"]))
        manifest = cluster.records.manifest(run.tenant, run.job)
        summary = read_record(store, keys.of_run(run, keys.RESULT), Summary.of_result)
    except ArtifactMissing:  # delivered already, or the job was deleted
        return Step()
    parts = [name for name in wanted(manifest) if not exists(store, keys.delivered(run, name))]
    if not parts:
        return Step()
    part = parts[0]
    tries = sum(1 for _ in store.list(keys.tries(run, part)))
    outcome, is_asked = Outcome(False, "The process died in the last try."), False
    late = has_waited_long(ended_at, time.time())
    if not may_try:
        if not late:
            return Step(BUSY_SECONDS)
        outcome = EXPIRED
    elif tries < MAX_TRIES:
        tries, is_asked = tries + 1, True
        if not store.put(keys.tries(run, part) + str(tries), b""):
            return Step(BUSY_SECONDS)
        if part == OUTPUT:
            outcome = _write(cluster, manifest, run, summary)
        else:
            said = event(manifest, run, summary, ended_at)
            url = manifest.webhook_url or ""
            outcome = send(webhooks(), cluster.settings, url, run, said)
    following = verdict(outcome, tries, cluster.settings.redelivery_factor, is_late=late)
    _log(run, part, tries, outcome)
    if following.final:
        if not outcome.done:
            DELIVERIES_GIVEN_UP.labels(part).inc()
        store.put(keys.delivered(run, part), encode(_record(outcome, tries)))
        delay = 0.0 if len(parts) > 1 else None
    else:
        delay = following.delay_seconds
    return step_of(outcome, delay, part) if is_asked else Step(delay)


def receiver(cluster: Cluster, run: Run) -> str | None:
    """Return where a run's next delivery goes: a bucket, or host and port; None: nowhere.

    Raises what `deliver` does. Of most jobs it reads the manifest alone, which is remembered.
    """
    try:
        manifest = cluster.records.manifest(run.tenant, run.job)
    except ArtifactMissing:  # the job was deleted
        return None
    if manifest.output and not (
        manifest.webhook_url and exists(cluster.store, keys.delivered(run, OUTPUT))
    ):
        return "s3://" + manifest.output.url.removeprefix("s3://").partition("/")[0]
    if manifest.webhook_url is None:
        return None
    return urlsplit(manifest.webhook_url).netloc.lower()


def wanted(manifest: Manifest) -> list[str]:
    """Return the parts that a job's end owes, in the order of delivery."""
    owed = {OUTPUT: manifest.output, WEBHOOK: manifest.webhook_url}
    return [part for part, place in owed.items() if place]


def _write(cluster: Cluster, manifest: Manifest, run: Run, summary: Summary) -> Outcome:
    try:
        write_outputs(cluster, manifest, run, summary)
    except Exception as error:  # a bug of ours is retried ten times too, and then given up
        log.debug("output_failed_at", exc_info=error)
        return of_error(error)
    return DONE


def _record(outcome: Outcome, tries: int) -> dict[str, Any]:
    return {
        "status": "delivered" if outcome.done else "failed",
        "tries": tries,
        "error": outcome.reason,
        "ended_at": round(time.time(), 3),
    }


def _log(run: Run, part: str, tries: int, outcome: Outcome) -> None:
    named = {"tenant": run.tenant, "job": run.job, "run": run.number, "part": part, "try": tries}
    if outcome.done:
        log.info("delivered", **named)
    else:
        log.warning("delivery_failed", **named, reason=outcome.reason)
