"""Turn messages about objects into jobs: each object that a rule names becomes one job.

The idempotency key is made of the object as it is now (its version, or its ETag), so events may
come twice, late or in any order. What an event says of the content is ignored. How messages
arrive is the caller's.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from gpu_worker.errors import PermanentError, ScriptoriumError, StoreRefused
from orchestrator.access.quotas import Quota
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.ids import keyed_job
from orchestrator.jobs.ready_by import due_within
from orchestrator.jobs.submission import IdempotencyConflict, submit
from orchestrator.trail.entry import Entry
from orchestrator.triggers.events import ObjectEvent, created_objects
from orchestrator.triggers.rules import Rule, Rules, read_rules
from tasks.artifacts import ArtifactMissing
from tasks.artifacts.names import KEY_BYTES, checked_key
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.telemetry.metrics import TRIGGER_DEAD_LETTERS

log = structlog.get_logger(__name__)


class UnusableKey(PermanentError):
    """The object's key is one that cannot be read from or written to."""

    code = "unusable_key"
    hint = "Give it a name without empty parts, `.`, `..` or control characters."


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of a message."""

    jobs: tuple[str, ...] = ()  # ids, also of jobs that existed already
    ignored: int = 0  # objects that no rule names, or that are gone
    refused: tuple[ScriptoriumError, ...] = ()  # one error for each object that cannot become a job


class Intake:
    """Makes jobs of messages, by the rules of one file. Threads may share it."""

    def __init__(self, cluster: Cluster, rules: Rules, client: Any, way: str | None = None) -> None:
        """Read the limits from the settings; `way`: how messages come in, for the metrics."""
        self._way = way
        TRIGGER_DEAD_LETTERS.labels(way or "")  # 0 from the start, so that the first one is seen
        self._cluster = cluster
        self._rules = rules
        self._client = client  # boto3's client of S3
        settings = cluster.settings
        # The operator wrote the rules, so the cluster's limits apply, not the tenant's quota.
        self._quota = Quota(
            jobs_in_flight=settings.max_open_jobs,
            audio_seconds=settings.max_audio_seconds,
            source_bytes=settings.max_source_bytes,
            open_jobs=settings.max_open_jobs,
            pending_uploads=settings.pending_uploads,
            pending_upload_bytes=settings.pending_upload_bytes,
        )

    def take(self, body: str | bytes) -> Taken:
        """Accept every object of a message; the jobs are durable when this returns.

        Raises MalformedEvent; TransientError, RedisError or StoreRefused if the message must be
        taken again later, in which case some of its objects may be jobs already.
        """
        jobs: list[str] = []
        refused: list[ScriptoriumError] = []
        ignored = 0
        for event in created_objects(body):
            try:
                job = self._accept(event)
            except StoreRefused:  # an operator can repair that, and then the event is still valid
                raise
            except PermanentError as error:
                log.warning("object_refused", **_named(event), code=error.code, reason=str(error))
                refused.append(error)
                continue
            if job is None:
                ignored += 1
            else:
                jobs.append(job)
        return Taken(tuple(dict.fromkeys(jobs)), ignored, tuple(refused))

    def bury(self, name: str, body: str | bytes, error: ScriptoriumError) -> None:
        """Keep a message that cannot become jobs, for an operator to read."""
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        record = {"body": text, "error": error.to_json(), "buried_at": round(time.time(), 3)}
        self._cluster.store.put(keys.dead_trigger(name), json.dumps(record).encode())
        TRIGGER_DEAD_LETTERS.labels(self._way or "").inc()
        log.error("message_buried", message=name, code=error.code, reason=str(error))

    def _accept(self, event: ObjectEvent) -> str | None:
        rule = self._rules.rule_for(event.bucket, event.key)
        if rule is None or event.key.endswith("/"):  # consoles make a folder as an empty object
            log.info("object_ignored", **_named(event), reason="no rule names it")
            return None
        self._check_keys(rule, event.key)
        state = self._state(event)
        if state is None:
            log.info("object_ignored", **_named(event), reason="it is gone")
            return None
        url = f"s3://{event.bucket}/{event.key}"
        wanted = {
            "source": Source(name=event.key.rpartition("/")[2], url=url),
            "options": rule.options,
            "metadata": rule.metadata,
            "labels": rule.labels,
            "webhook_url": rule.webhook_url,
            "output": rule.output_of(event.key),
            "ready_by": due_within(rule.ready_by, time.time()),
        }
        job = self._submit(rule.tenant, f"trigger {url} {state}", wanted)
        log.info("object_accepted", **_named(event), job=job)
        by, details = f"trigger:{self._way}", {"object": url, "event": state}
        self._cluster.trail.note(Entry("job.submit", rule.tenant, by, job=job, details=details))
        return job

    def _submit(self, tenant: str, key: str, wanted: dict[str, Any]) -> str:
        named: dict[str, Any] = {"tenant": tenant, "idempotency_key": key, "quota": self._quota}
        named["way"] = self._way
        try:
            return submit(self._cluster, **wanted, **named).id
        except IdempotencyConflict:
            # It was accepted under other rules. That process may have died before the job was
            # complete, so submit it again as it was.
            job = keyed_job(self._cluster.store, tenant, key)
            first = self._cluster.records.manifest(tenant, job)
            return submit(
                self._cluster, **{name: getattr(first, name) for name in wanted}, **named
            ).id

    def _check_keys(self, rule: Rule, key: str) -> None:
        output = rule.output_of(key)
        place = output.url.removeprefix("s3://").partition("/")[2] if output else ""
        try:
            checked_key(key)
        except ValueError as error:
            raise UnusableKey() from error
        if any(len(f"{place}{end}".encode()) > KEY_BYTES for end in rule.extensions):
            raise UnusableKey(
                f"The transcript's key would have more than {KEY_BYTES} bytes.",
                hint="Give the object a shorter name, or the rule a shorter output.",
            )

    def _state(self, event: ObjectEvent) -> str | None:
        """Return the object's version now, else its ETag; None if it is gone."""
        from tasks.artifacts.s3_faults import s3_faults  # botocore takes long to import

        try:
            with s3_faults(event.bucket, event.key):
                found = self._client.head_object(Bucket=event.bucket, Key=event.key)
        except ArtifactMissing:
            return None
        version = found.get("VersionId", "null")
        return str(found["ETag"]).strip('"') if version == "null" else str(version)


def open_intake(cluster: Cluster, path: Path, way: str | None = None) -> Intake:
    """Open an intake with the rules of a file. Raises InvalidRules."""
    from tasks.artifacts.s3 import s3_client

    rules = read_rules(path, cluster.settings)
    details = {"rules": str(path), "sha256": sha256(path.read_bytes()).hexdigest(), "way": way}
    host = socket.gethostname()
    cluster.trail.note(Entry("rules.read", None, "scriptorium", origin=host, details=details))
    return Intake(cluster, rules, s3_client(cluster.settings.s3_endpoint_url), way)


def _named(event: ObjectEvent) -> dict[str, str]:
    return {"bucket": event.bucket, "object": event.key}
