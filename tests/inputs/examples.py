"""Small valid records, to be changed where a test cares."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gpu_worker.pcm import Span
from tasks.artifacts import ArtifactStore, encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

TENANT, JOB = "default", "job-1"
SAMPLES = 16_000  # in a second


def a_manifest(job: str = JOB, source: Source | None = None, **options: Any) -> Manifest:
    """A job of the fake model, in English, neither aligned nor diarized unless asked for."""
    return Manifest(
        tenant=TENANT,
        job=job,
        created_at=1000.0,
        source=source or Source(name="talk.wav", artifact=keys.source(TENANT, "ab")),
        options=JobOptions(
            **{"model": "fake", "language": "en", "aligner": "cross_attention", **options}
        ),
    )


def a_plan(*seconds: float) -> Plan:
    """Chunks of these lengths."""
    edges = [0]
    for length in seconds or (10.0,):
        edges.append(edges[-1] + int(length * SAMPLES))
    chunks = tuple(Span(first, last) for first, last in pairwise(edges))
    return Plan(audio="ab", seconds=edges[-1] / SAMPLES, chunks=chunks)


def a_unit(
    stage: Stage = Stage.TRANSCRIBE, index: int = 0, *, job: str = JOB, run: int = 1
) -> Unit:
    return a_run(run, job=job).unit(stage, index)


def a_run(number: int = 1, *, job: str = JOB) -> Run:
    return Run(TENANT, job, number)


def write_records(store: ArtifactStore, manifest: Manifest, plan: Plan | None = None) -> None:
    """As submission and `prepare` would."""
    store.put(
        keys.manifest(manifest.tenant, manifest.job), encode(manifest.model_dump(mode="json"))
    )
    if plan is not None:
        receipt = {"receipt": {"seconds": 1.0, "audio_seconds": 0.0, "detail": {"unit": "x/y/1/"}}}
        store.put(
            keys.plan(manifest.tenant, manifest.job),
            encode(plan.model_dump(mode="json") | receipt),
        )
