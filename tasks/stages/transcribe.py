"""Stage `transcribe`: turn one chunk's samples into segments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpu_worker.devices.requests import Standing
from gpu_worker.transcription.chunk import transcribe_chunk
from tasks.app import app
from tasks.artifacts.pcm import read_audio
from tasks.execution import (
    notice,  # noqa: F401 - likewise
    prefetching,  # noqa: F401 - listens to Celery's signals
)
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.deadline import is_urgent
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit


@app.task(name=Stage.TRANSCRIBE.task_name, bind=True)
def transcribe(self: Any, tenant: str, job: str, run: int, index: int) -> dict[str, Any]:
    """Transcribe one chunk. Never raises into the chord: a failure becomes an artifact."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.TRANSCRIBE, index), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    records = place.records
    manifest = records.resolved(unit.run)
    plan = records.plan(unit.run.tenant, unit.run.job)
    span = plan.chunks[unit.index]
    audio = plan.chunk_audio(unit.index)
    options = manifest.options
    decoding = options.decode_options(records.language(manifest, plan))

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        loaded = place.engine(options)
        engine = loaded.engine
        with loaded.batcher.coming():
            samples = read_audio(place.store, keys.pcm(unit.run.tenant, audio), span)
        heard = transcribe_chunk(
            engine,
            samples,
            decoding,
            first_sample=span.start,
            batch_size=options.batch_size,
            vad=options.vad_options(),
            languages=options.language_choice(),
            before_batch=check,
            batcher=loaded.batcher,
            turns=place.watchdog,
            standing=Standing(unit.run.tenant, is_urgent(manifest, plan, time.time())),
            second_tries=options.second_tries,
        )
        by = {"model": engine.name, "engine": engine.kind, "device": engine.device}
        return heard.to_json() | by

    return Work(records.key(unit), compute, audio_seconds=plan.chunk_seconds(unit.index))
