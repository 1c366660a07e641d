"""Stage `assemble`: publish the run's result from the artifacts of all its units.

It reads the artifacts, never what messages return. `result.json` is written once and is the
commit point. Equal artifacts give equal bytes, so the timings, which vary, are an artifact of
their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from gpu_worker.assembly.channels import Conversation, join_channels
from gpu_worker.assembly.merging import merge_chunks
from gpu_worker.heard import HeardWindow
from gpu_worker.transcript import Transcript, TranscriptWarning, Turn, transcript_to_json
from tasks.app import app
from tasks.artifacts import ArtifactMissing, encode
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys, usage_keys
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.records import failures, result_record
from tasks.runs.stages import EARLY_STAGES, Stage
from tasks.runs.units import Run, Unit
from tasks.runs.vocabulary import vocabulary_of
from tasks.stages.findings import Findings, FindingsReader
from tasks.state.receipts import sum_timings
from tasks.telemetry.metrics import FLAGS, JOBS_ENDED
from tasks.usage.evidence import Evidence
from tasks.usage.record import run_usage

VOCABULARY_MISSING = TranscriptWarning(
    "vocabulary_missing",
    "The text is as it was heard: this job's copy of its vocabulary is not in the store.",
)


@app.task(name=Stage.ASSEMBLE.task_name, bind=True)
def assemble(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Publish one run's result."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.ASSEMBLE), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    def compute(check: Callable[[], None]) -> dict[str, Any] | None:
        return _result(place, unit)

    return Work(keys.of_run(unit.run, keys.RESULT), compute, timed=False, on_commit=_count_end)


def _count_end(result: dict[str, Any]) -> None:
    status = "partial" if result["missing"] else "completed"
    JOBS_ENDED.labels("failed" if result["error"] else status).inc()
    for span in (result["transcript"] or {}).get("review", ()):
        for code in span["codes"]:
            FLAGS.labels(code).inc()


def _result(place: Workplace, unit: Unit) -> dict[str, Any] | None:
    """Return the result to publish, or None while a unit is neither done nor given up."""
    failed = failures(place.store, unit.run)
    for (stage, _), error in failed.items():
        if stage in EARLY_STAGES:
            return result_record(error=error)
    records = place.records
    try:
        manifest = records.resolved(unit.run)
        plan = records.plan(unit.run.tenant, unit.run.job)
        spoken = records.language(manifest, plan)
        findings = FindingsReader(place.store, records, unit.run, failed).read()
    except ArtifactMissing:
        return None
    if findings is None:
        return None
    evidence = Evidence(place.store, records)
    receipts = {Stage.PREPARE: [evidence.prepared(unit.run) or {}], **findings.receipts}
    timings = _timings(unit, receipts, findings.engines)
    place.store.put(keys.of_run(unit.run, "timings.json"), encode(timings))
    # Before the commit, so that no run with a transcript is ever without its record.
    if detected := evidence.detected(unit.run):
        receipts[Stage.DETECT_LANGUAGE] = [detected]
    used = run_usage(unit.run, receipts, _begun_at(manifest, unit.run), labels=manifest.labels)
    place.store.put(usage_keys.used(unit.run), used.to_bytes())
    if findings.chunks and not any(findings.chunks):
        return result_record(error=failed[Stage.TRANSCRIBE, 0])
    transcript = _written(place, manifest, _transcript(plan, manifest.options, spoken, findings))
    return result_record(
        transcript=transcript_to_json(transcript),
        missing=[asdict(span) for span in findings.missing],
    )


def _transcript(
    plan: Plan, options: JobOptions, spoken: str | None, findings: Findings
) -> Transcript:
    chunks = [chunk.segments for chunk in findings.chunks if chunk]
    turns: tuple[Turn, ...] = ()
    if plan.channels:
        conversation = _conversation(plan, findings)
        chunks, turns = [conversation.segments], conversation.turns
    return merge_chunks(
        chunks,
        language=spoken,
        duration=round(plan.seconds, 3),
        missing=findings.missing,
        warnings=(*plan.warnings, *findings.warnings),
        diarization=findings.diarization,
        turns=turns,
        with_words=options.aligner != "none",
        is_aligned=options.aligns,
        written="en" if options.task == "translate" else None,
        speech_seconds=sum(chunk.speech_seconds for chunk in findings.chunks if chunk),
    )


def _written(place: Workplace, manifest: Manifest, heard: Transcript) -> Transcript:
    """Return the transcript as the job's vocabulary wants it to be written."""
    if manifest.options.vocabulary is None:
        return heard
    vocabulary = vocabulary_of(place.store, manifest)
    if vocabulary is None:
        return replace(heard, warnings=(*heard.warnings, VOCABULARY_MISSING))
    return vocabulary.writer(manifest.options.task).transcript(heard)


def _conversation(plan: Plan, findings: Findings) -> Conversation:
    """Join the chunks of split channels; each channel is a speaker."""
    channels: dict[int, list[HeardWindow]] = {}
    for channel, chunk in zip(plan.chunk_channels, findings.chunks, strict=True):
        channels.setdefault(channel, []).extend(chunk.windows if chunk else ())
    return join_channels(channels)


def _timings(
    unit: Unit, receipts: Mapping[Stage, Sequence[dict[str, Any]]], engines: Mapping[str, int]
) -> dict[str, Any]:
    """Sum the receipts up by stage; `engines` says how many chunks each engine transcribed."""
    timings = {
        stage.value: sum_timings(units, unit.run)
        for stage, units in receipts.items()
        if units or stage is Stage.TRANSCRIBE
    }
    timings[Stage.TRANSCRIBE.value]["engines"] = dict(sorted(engines.items()))
    return timings


def _begun_at(manifest: Manifest, run: Run) -> float:
    return manifest.created_at if run.number == 1 else time.time()
