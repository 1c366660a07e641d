"""Stage `align`: find the exact times of one chunk's words.

If it fails, the transcript keeps the times that the engine gave its words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from gpu_worker.alignment.by_language import align_by_language
from gpu_worker.alignment.chunk import align_chunk
from gpu_worker.devices.requests import Standing
from gpu_worker.heard import ChunkTranscript
from tasks.app import app
from tasks.artifacts import ArtifactMissing
from tasks.artifacts.pcm import read_audio
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.deadline import is_urgent
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit


@app.task(name=Stage.ALIGN.task_name, bind=True)
def align(self: Any, tenant: str, job: str, run: int, index: int) -> dict[str, Any]:
    """Align one chunk. Never raises into the chord: a failure becomes an artifact."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.ALIGN, index), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    records = place.records
    manifest = records.resolved(unit.run)
    plan = records.plan(unit.run.tenant, unit.run.job)
    span = plan.chunks[unit.index]
    audio = plan.chunk_audio(unit.index)
    spoken = records.language(manifest, plan)
    options = manifest.options
    source = records.key(unit.run.unit(Stage.TRANSCRIBE, unit.index))

    def compute(check: Callable[[], None]) -> dict[str, Any] | None:
        try:
            heard = ChunkTranscript.from_json(json.loads(place.store.get(source)))
        except ArtifactMissing:
            return None  # the chunk was given up, or is not transcribed yet
        if not heard.segments:
            return heard.to_json()
        by: dict[str, str] = {}

        def align_windows(windows: ChunkTranscript, language: str) -> ChunkTranscript:
            loaded = place.aligner(options, language)
            with loaded.batcher.coming():
                samples = read_audio(place.store, keys.pcm(unit.run.tenant, audio), span)
            by.update(model=loaded.aligner.name, device=loaded.aligner.device)
            return align_chunk(
                loaded.aligner,
                samples,
                windows,
                first_sample=span.start,
                language=language,
                batch_size=options.batch_size,
                before_batch=check,
                batcher=loaded.batcher,
                turns=place.watchdog,
                standing=Standing(unit.run.tenant, is_urgent(manifest, plan, time.time())),
            )

        return align_by_language(heard, spoken or "en", align_windows).to_json() | by

    return Work(records.key(unit), compute, audio_seconds=plan.chunk_seconds(unit.index))
