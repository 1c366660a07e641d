"""Stage `assemble`: everything that was found out, as the run's one published result.

It decides from the artifacts, never from what messages returned. `result.json` is
written once and is the commit point; equal artifacts give equal bytes, so what
varies (timings) is an artifact beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from gpu_worker.merging import MissingSpan, merge_chunks
from gpu_worker.transcript import SAMPLE_RATE, transcript_to_json
from gpu_worker.transcription import ChunkTranscript
from tasks.app import app
from tasks.artifacts import ArtifactMissing, keys
from tasks.execution import Work, run_unit
from tasks.lifecycle import Workplace
from tasks.manifest import Plan
from tasks.records import Records, encode, failures, result_record
from tasks.stages import CHUNK_STAGES, Stage, Unit
from tasks.timings import sum_timings

READERS = 8  # artifacts fetched at once; an S3 read is nearly all waiting

Failures = Mapping[tuple[Stage, int], dict[str, Any]]


@app.task(name=Stage.ASSEMBLE.task_name, bind=True)
def assemble(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Publish one run's result."""
    receipt = run_unit(self, Unit(tenant, job, run, Stage.ASSEMBLE), _describe)
    return receipt.to_json()


def _describe(place: Workplace, unit: Unit) -> Work:
    def compute(check: Callable[[], None]) -> dict[str, Any] | None:
        return _result(place, unit)

    return Work(keys.run(unit, "result.json"), compute, timed=False)


def _result(place: Workplace, unit: Unit) -> dict[str, Any] | None:
    """What is published, or None while a chunk is neither done nor given up."""
    failed = failures(place.store, unit)
    for (stage, _), error in failed.items():
        if stage not in CHUNK_STAGES:
            return result_record(error=error)
    records = place.records
    try:
        manifest = records.manifest(unit.tenant, unit.job)
        plan = records.plan(unit.tenant, unit.job)
        spoken = records.language(manifest, plan)
        chunks = _chunks(place, records, unit, plan)
    except ArtifactMissing:
        return None
    missing = _missing(plan, chunks, failed)
    if missing is None:
        return None
    place.store.put(keys.run(unit, "timings.json"), encode(_timings(place, unit, plan, chunks)))
    if chunks and not any(chunks):
        return result_record(error=next(iter(failed.values())))
    transcript = merge_chunks(
        [ChunkTranscript.from_json(chunk).segments for chunk in chunks if chunk],
        language=spoken,
        duration=round(plan.seconds, 3),
        missing=missing,
        warnings=plan.warnings,
    )
    return result_record(
        transcript=transcript_to_json(transcript), missing=[asdict(span) for span in missing]
    )


def _chunks(
    place: Workplace, records: Records, unit: Unit, plan: Plan
) -> list[dict[str, Any] | None]:
    """Each chunk's artifact, or None where there is none."""

    def read(index: int) -> dict[str, Any] | None:
        chunk = Unit(unit.tenant, unit.job, unit.run, Stage.TRANSCRIBE, index)
        try:
            data: dict[str, Any] = json.loads(place.store.get(records.key(chunk)))
        except ArtifactMissing:
            return None
        return data

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, range(len(plan.chunks))))


def _missing(
    plan: Plan, chunks: list[dict[str, Any] | None], failed: Failures
) -> list[MissingSpan] | None:
    """The given-up chunks' spans; None if a chunk may still come."""
    spans: list[MissingSpan] = []
    for index, (start, end) in enumerate(plan.chunks):
        if chunks[index] is not None:
            continue
        error = failed.get((Stage.TRANSCRIBE, index))
        if error is None:
            return None
        spans.append(
            MissingSpan(
                round(start / SAMPLE_RATE, 3),
                round(end / SAMPLE_RATE, 3),
                error["code"],
                error["message"],
            )
        )
    return spans


def _timings(
    place: Workplace, unit: Unit, plan: Plan, chunks: list[dict[str, Any] | None]
) -> dict[str, Any]:
    prepared = json.loads(place.store.get(keys.plan(unit.tenant, unit.job)))["receipt"]
    receipts = [chunk["receipt"] for chunk in chunks if chunk]
    return {
        Stage.PREPARE.value: sum_timings([prepared | {"audio_seconds": plan.seconds}], unit),
        Stage.TRANSCRIBE.value: sum_timings(receipts, unit),
    }
