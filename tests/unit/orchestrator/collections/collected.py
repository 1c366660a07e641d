"""Collections for tests: accepted, done by the reconciler's duty, and their jobs ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import control
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.lists import checked_lines
from orchestrator.collections.records import Collection
from orchestrator.reconciler.collecting import Collecting
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.units import Run
from tests.inputs.examples import TENANT

OPTIONS = {"model": "fake", "language": "en"}
ERROR = {"type": "permanent", "code": "unreadable_audio", "message": "No.", "hint": "Send audio."}


def addresses(count: int) -> list[Any]:
    return [f"s3://calls/{number}.wav" for number in range(1, count + 1)]


def accepted(connection: Cluster, items: Sequence[Any], **asked: Any) -> Collection:
    common = Asked(name="calls", options=OPTIONS, **asked)
    return accept(connection, TENANT, common, checked_lines(items, OPTIONS))


def collecting(connection: Cluster, **options: Any) -> Collecting:
    """The duty, led by a process that has just died, as far as a second one is concerned."""
    connection.redis.delete("scriptorium:reconciler")
    connection.jobs.restored()
    leading = Leading(connection.redis, 100.0)
    assert leading.take()
    return Collecting(connection, leading, **options)


def shown(connection: Cluster, collection: Collection) -> dict[str, Any]:
    return control.show(connection, TENANT, collection.id)


def counts(connection: Cluster, collection: Collection) -> dict[str, int]:
    found: dict[str, int] = shown(connection, collection)["counts"]
    return {name: number for name, number in found.items() if number}


def lines(connection: Cluster, collection: Collection, *statuses: str) -> list[dict[str, Any]]:
    return control.lines_of(connection, TENANT, collection.id, statuses, 100)[0]


def end_jobs(connection: Cluster, *failing: str) -> None:
    """End every open job; those of these names fail."""
    for run in connection.jobs.open_runs():
        name = connection.records.manifest(run.tenant, run.job).source.name
        end_job(connection, run, ERROR if name in failing else None)


def end_job(connection: Cluster, run: Run, error: dict[str, Any] | None = None) -> None:
    transcript = None if error else {"segments": [], "language": "en", "warnings": []}
    result = result_record(transcript=transcript, error=error)
    connection.store.put(keys.of_run(run, keys.RESULT), encode(result))
    connection.settle(run)
