"""Stage `detect_language`: several windows spread over the file, one batch, the majority.

The first half minute alone is often music or a greeting in another language.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_worker.engines import Audio, Engine
from gpu_worker.speech import VadOptions
from gpu_worker.transcript import SAMPLE_RATE
from gpu_worker.transcription import detect_language as majority
from gpu_worker.transcription import pcm_to_audio
from gpu_worker.vad import speech_spans
from gpu_worker.windows import pack_windows
from tasks.app import app
from tasks.artifacts import keys
from tasks.execution import Work, run_unit
from tasks.lifecycle import Workplace
from tasks.manifest import Manifest, Plan
from tasks.pipeline import end_early
from tasks.stages import Stage, Unit

PLACES = (5, 20)  # where to listen; more of them if nobody speaks at the first few
PLACE_SECONDS = 60.0  # how much is searched for speech at each


@app.task(name=Stage.DETECT_LANGUAGE.task_name, bind=True)
def detect_language(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Find out which language one job's audio is in."""
    unit = Unit(tenant, job, run, Stage.DETECT_LANGUAGE)
    receipt = run_unit(self, unit, _describe)
    end_early(self, unit, receipt)
    return receipt.to_json()


def _describe(place: Workplace, unit: Unit) -> Work:
    records = place.records
    manifest = records.manifest(unit.tenant, unit.job)
    plan = records.plan(unit.tenant, unit.job)

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        engine = place.engine(manifest.options)
        return {"language": majority(engine, _spread_windows(place, manifest, plan, engine))}

    return Work(keys.language(unit.tenant, plan.heard, manifest.options), compute)


def _spread_windows(
    place: Workplace, manifest: Manifest, plan: Plan, engine: Engine
) -> list[Audio]:
    """At even positions; of split channels at each position another."""
    vad = manifest.options.vad_options()
    audios = tuple(dict.fromkeys(plan.channels)) or (plan.audio,)
    for count in PLACES:
        found = [
            window
            for index in range(count)
            for window in _listen(
                place,
                keys.pcm(manifest.tenant, audios[index % len(audios)]),
                plan.seconds,
                engine,
                vad,
                (index + 0.5) / count,
            )
        ]
        if found:
            return found
    return []


def _listen(
    place: Workplace,
    pcm: str,
    seconds: float,
    engine: Engine,
    vad: VadOptions,
    position: float,
) -> list[Audio]:
    """The fullest window of speech around a position (0..1 of the file), if there is any."""
    length = int(min(PLACE_SECONDS, seconds) * SAMPLE_RATE)
    total = int(seconds * SAMPLE_RATE)
    start = min(max(0, int(position * total) - length // 2), total - length)
    audio = pcm_to_audio(place.store.get(pcm, start * 2, length * 2))
    spans = speech_spans(audio, engine.max_window_seconds, vad)
    windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    fullest = max(windows, key=lambda window: window.samples, default=None)
    return [fullest.cut(audio)] if fullest else []
