"""Send the webhook of a collection's round that has ended, as one for a job is sent.

A try is counted by an artifact before it is made; the message has the same id at every try.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore
import structlog

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import places
from orchestrator.collections.acceptance import find
from orchestrator.collections.control import facts_of
from orchestrator.collections.description import describe
from orchestrator.collections.rounds import Rounds
from orchestrator.outbox.courier import Courier
from orchestrator.outbox.schedule import (
    EXPIRED,
    MAX_TRIES,
    Outcome,
    Step,
    has_waited_long,
    step_of,
    verdict,
)
from orchestrator.outbox.webhooks import send
from tasks.artifacts import encode, exists
from tasks.runs.units import Run
from tasks.telemetry.metrics import DELIVERIES_GIVEN_UP

BUSY_SECONDS = 30.0  # pause after another process has counted the same try
log = structlog.get_logger(__name__)


def round_courier(cluster: Cluster) -> Courier:
    """Return a courier for the webhooks of collections, with threads of its own."""
    outbox = places.outbox(cluster.store, cluster.redis)
    return Courier(cluster, outbox, deliver_round, receiver_of_round)


def receiver_of_round(cluster: Cluster, turn: Run) -> str | None:
    """Return the host and port of a round's webhook; None: nothing is owed."""
    record = find(cluster, turn.tenant, turn.job)
    if record is None or record.webhook_url is None:
        return None
    return urlsplit(record.webhook_url).netloc.lower()


def deliver_round(
    cluster: Cluster,
    turn: Run,
    webhooks: Callable[[], httpcore.ConnectionPool],
    *,
    may_try: bool = True,
) -> Step:
    """Make one try; without `may_try` none, and only give up what has waited for too long."""
    store = cluster.store
    record = find(cluster, turn.tenant, turn.job)
    if record is None or record.webhook_url is None or exists(store, places.delivered(turn)):
        return Step()
    rounds = Rounds(cluster)
    ended = rounds.ended(turn)
    if ended is None:
        return Step()
    tries = sum(1 for _ in store.list(places.tries(turn)))
    outcome, is_asked = Outcome(False, "The process died in the last try."), False
    late = has_waited_long(ended["ended_at"], time.time())
    if not may_try:
        if not late:
            return Step(BUSY_SECONDS)
        outcome = EXPIRED
    elif tries < MAX_TRIES:
        tries, is_asked = tries + 1, True
        if not store.put(places.tries(turn) + str(tries), b""):
            return Step(BUSY_SECONDS)
        facts = facts_of(rounds, record, turn, ended)
        shown = describe(record, facts, rounds.at_end(record, ended), time.time())
        outcome = send(webhooks(), cluster.settings, record.webhook_url, turn, event(shown))
    following = verdict(outcome, tries, cluster.settings.redelivery_factor, is_late=late)
    named = {"tenant": turn.tenant, "collection": turn.job, "round": turn.number, "try": tries}
    if outcome.done:
        log.info("delivered", **named)
    else:
        log.warning("delivery_failed", **named, reason=outcome.reason)
    if following.final:
        if not outcome.done:
            DELIVERIES_GIVEN_UP.labels("webhook").inc()
        how = {
            "status": "delivered" if outcome.done else "failed",
            "tries": tries,
            "error": outcome.reason,
            "ended_at": round(time.time(), 3),
        }
        store.put(places.delivered(turn), encode(how))
    delay = following.delay_seconds
    return step_of(outcome, delay) if is_asked else Step(delay)


def event(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the webhook: `collection.` and how the round has ended."""
    moment = datetime.fromtimestamp(shown["ended_at"], UTC).isoformat(timespec="milliseconds")
    named = ("id", "round", "status", "name", "counts", "metadata")
    return {
        "type": f"collection.{shown['status']}",
        "timestamp": moment.replace("+00:00", "Z"),
        "data": {name: shown[name] for name in named},
    }
