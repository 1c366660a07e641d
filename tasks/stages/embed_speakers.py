"""Stage `embed_speakers`: find where voices are heard in one shard, and an embedding of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpu_worker.devices.requests import Standing
from gpu_worker.pcm import Span
from tasks.app import app
from tasks.artifacts.pcm import read_audio
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.deadline import is_urgent
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit


@app.task(name=Stage.EMBED_SPEAKERS.task_name, bind=True)
def embed_speakers(self: Any, tenant: str, job: str, run: int, index: int) -> dict[str, Any]:
    """Embed one shard. Never raises into the chord: a failure becomes an artifact."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.EMBED_SPEAKERS, index), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    plan = place.records.plan(unit.run.tenant, unit.run.job)
    manifest = place.records.resolved(unit.run)
    options = manifest.options

    def compute(check: Callable[[], None]) -> bytes:
        diarizer = place.diarizer(options)
        windows = diarizer.grid.windows_of_shard(unit.index, plan.samples, options.shard_seconds)
        heard = diarizer.grid.samples_of(windows, plan.samples)
        span = Span(heard.start, heard.stop)
        audio = read_audio(place.store, keys.pcm(unit.run.tenant, plan.audio), span)
        standing = Standing(unit.run.tenant, is_urgent(manifest, plan, time.time()))
        voices = diarizer.embed(audio, windows, check, turns=place.watchdog, standing=standing)
        return voices.to_bytes()

    return Work(
        place.records.key(unit), compute, audio_seconds=plan.shard_seconds(unit.index, options)
    )
