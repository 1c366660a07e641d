"""A job as users see it: status, stage, progress, and what went wrong.

Everything is derived from facts (manifest, plan, receipts, result), so a status can always
be computed again from the artifacts. Pure: no Redis, no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.runs.dependencies import (
    chunk_stages,
    fan_in,
    header_chains,
    needs_detection,
    open_units,
)
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Receipt

Receipts = Mapping[tuple[Stage, int], Receipt]


class Status(StrEnum):
    """Status of a job's newest run."""

    QUEUED = "queued"  # accepted, nothing done yet
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIAL = "partial"  # published, but spans of the audio are missing
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether the run has ended, so that its status does not change any more."""
        return self not in (Status.QUEUED, Status.PROCESSING)


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.PROCESSING, Status.CANCELED, Status.FAILED}),
    Status.PROCESSING: frozenset(
        {Status.COMPLETED, Status.PARTIAL, Status.FAILED, Status.CANCELED}
    ),
    Status.COMPLETED: frozenset(),
    Status.PARTIAL: frozenset({Status.QUEUED}),  # retry starts the next run
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELED: frozenset({Status.QUEUED}),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run ended with; the short form of its `result.json`."""

    error: dict[str, Any] | None = None
    missing: int = 0  # number of spans without text
    canceled: bool = False
    warnings: tuple[dict[str, Any], ...] = ()
    language: str | None = None

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Summary:
        """Make a summary from the published result."""
        transcript = result["transcript"] or {}
        return cls(
            error=result["error"],
            missing=len(result["missing"]),
            canceled=result["canceled"],
            warnings=tuple(transcript.get("warnings", ())),
            language=transcript.get("language"),
        )

    @property
    def status(self) -> Status:
        """The final status of the run."""
        if self.canceled:
            return Status.CANCELED
        if self.error is not None:
            return Status.FAILED
        return Status.PARTIAL if self.missing else Status.COMPLETED


@dataclass(frozen=True, slots=True)
class Chunks:
    """Numbers of a job's chunks."""

    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment."""

    id: str
    tenant: str
    run: int
    name: str  # of the file, for display only
    model: str
    status: Status
    stage: Stage | None  # None when final
    progress: float  # 0..1, by audio seconds
    chunks: Chunks
    created_at: float  # seconds since 1970
    ready_by: float | None = None  # seconds since 1970; None: none was given
    audio_seconds: float | None = None
    eta_seconds: float | None = None
    language: str | None = None
    task: str = "transcribe"
    warnings: tuple[dict[str, Any], ...] = ()
    error: dict[str, Any] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the command line's `--json` and the API show them."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "run": self.run,
            "name": self.name,
            "model": self.model,
            "status": self.status.value,
            "stage": self.stage.value if self.stage else None,
            "progress": self.progress,
            "chunks": {
                "total": self.chunks.total,
                "done": self.chunks.done,
                "failed": self.chunks.failed,
            },
            "created_at": self.created_at,
            "ready_by": self.ready_by,
            "audio_seconds": self.audio_seconds,
            "eta_seconds": self.eta_seconds,
            "language": self.language,
            "task": self.task,
            "warnings": list(self.warnings),
            "error": self.error,
            "metadata": dict(self.metadata),
            "labels": dict(self.labels),
        }


def describe_job(
    manifest: Manifest,
    run: int,
    receipts: Receipts,
    plan: Plan | None,
    summary: Summary | None,
    now: float,
) -> Job:
    """Derive a job from its facts; `now` is in seconds since 1970."""
    chunks = _count(manifest, receipts, plan)
    if summary and plan and not summary.error and not summary.canceled:
        chunks = Chunks(len(plan.chunks), len(plan.chunks) - summary.missing, summary.missing)
    progress = 1.0 if summary else _progress(manifest, receipts, plan)
    status = summary.status if summary else (Status.PROCESSING if receipts else Status.QUEUED)
    return Job(
        id=manifest.job,
        tenant=manifest.tenant,
        run=run,
        name=manifest.source.name,
        model=manifest.options.model,
        status=status,
        stage=None if summary else current_stage(manifest, receipts, plan),
        progress=round(progress, 4),
        chunks=chunks,
        created_at=manifest.created_at,
        ready_by=manifest.ready_by,
        audio_seconds=plan.seconds if plan else None,
        eta_seconds=None if summary else _eta(receipts, plan, progress, now),
        language=summary.language if summary else manifest.options.language,
        task=manifest.options.task,
        warnings=summary.warnings if summary else (),
        error=summary.error if summary else None,
        metadata=manifest.metadata,
        labels=manifest.labels,
    )


def current_stage(manifest: Manifest, receipts: Receipts, plan: Plan | None) -> Stage:
    """Return the first stage that has an open unit."""
    if plan is None:
        return Stage.PREPARE
    if needs_detection(manifest.options) and (Stage.DETECT_LANGUAGE, 0) not in receipts:
        return Stage.DETECT_LANGUAGE
    run = Run(manifest.tenant, manifest.job, 0)
    failed = failed_units(receipts)
    waiting = {
        unit.stage
        for chain in header_chains(run, manifest.options, plan)
        for unit in open_units(chain, receipts, failed)
    }
    last = open_units(fan_in(run, manifest.options, plan), receipts, failed)
    in_order = (*(stage for stage in Stage if stage in waiting), *(unit.stage for unit in last))
    return in_order[0] if in_order else Stage.ASSEMBLE


def failed_units(receipts: Receipts) -> frozenset[tuple[Stage, int]]:
    """Return the units that were given up."""
    return frozenset(unit for unit, receipt in receipts.items() if receipt.outcome == "failed")


def _count(manifest: Manifest, receipts: Receipts, plan: Plan | None) -> Chunks:
    stages = chunk_stages(manifest.options)
    feeding = [stage for stage in stages if stage.definition.feeds_chain]
    failed = {index for stage, index in failed_units(receipts) if stage in feeding}
    done = sum(stage is stages[-1] and index not in failed for stage, index in receipts)
    return Chunks(len(plan.chunks) if plan else 0, done, len(failed))


def _progress(manifest: Manifest, receipts: Receipts, plan: Plan | None) -> float:
    """Return the done part, 0 to 1, by audio seconds of all chunks and shards."""
    if plan is None:
        return 0.0
    run = Run(manifest.tenant, manifest.job, 0)
    failed = failed_units(receipts)
    total = done = 0.0
    for chain in header_chains(run, manifest.options, plan):
        waiting = open_units(chain, receipts, failed)
        for unit in chain:
            seconds = plan.seconds_of(unit, manifest.options)
            total += seconds
            done += 0.0 if unit in waiting else seconds
    return min(1.0, done / total) if total else 0.0


def _eta(receipts: Receipts, plan: Plan | None, progress: float, now: float) -> float | None:
    """Estimate the remaining seconds from the average speed since `prepare` ended."""
    prepared = receipts.get((Stage.PREPARE, 0))
    if plan is None or prepared is None or not 0 < progress < 1:
        return None
    return round((now - prepared.finished_at) * (1 - progress) / progress, 1)
