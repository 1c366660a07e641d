"""Stage `detect_language`: find the language and choose the models that a job does not name.

The language is the majority over several windows, spread over the file and decoded in one batch:
the first half minute alone is often music or a greeting in another language. A file of up to a
minute gives one window, so that a short file is not encoded several times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.choosing import language_detector
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcription.engines import Engine
from gpu_worker.transcription.languages import detect_language as majority
from gpu_worker.transcription.windows import pack_windows
from tasks.app import app
from tasks.artifacts import encode, exists
from tasks.artifacts.pcm import read_audio
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.choice import choose_by_language, choose_others, choose_transcriber
from tasks.runs.dependencies import is_settled
from tasks.runs.manifest import Choice, Manifest, Plan
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

CHOICE_DEADLINE_SECONDS = 3600.0  # enough to fetch models of gigabytes
PLACES = (5, 20)  # number of stretches; the second try if there is no speech in the first
PLACE_SECONDS = 60.0  # length of each stretch


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of audio that is searched for speech: `samples` of one channel from `start`."""

    channel: int
    start: int
    samples: int


@app.task(name=Stage.DETECT_LANGUAGE.task_name, bind=True)
def detect_language(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Find one job's language, and choose the models that it does not name."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.DETECT_LANGUAGE), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    """Describe the work: detect the language, and choose models if the job leaves any open."""
    records = place.records
    manifest = records.manifest(unit.run.tenant, unit.run.job)
    plan = records.plan(unit.run.tenant, unit.run.job)
    if is_settled(manifest.options):
        return Work(records.key(unit), lambda check: _detected(place, manifest, plan))
    return Work(
        records.key(unit),
        lambda check: _choose(place, manifest, plan).model_dump(mode="json"),
        deadline_seconds=CHOICE_DEADLINE_SECONDS,
    )


def _choose(place: Workplace, manifest: Manifest, plan: Plan) -> Choice:
    """Choose the transcription model, detect the language, then choose the others.

    A model that the operator has named for the language comes before the one that is chosen for
    the hardware; that one is asked for the language, where it is not given.
    """
    models, table = place.model_place(), place.settings.language_models
    by_language = partial(choose_by_language, models, table, manifest.options)
    choice = by_language(manifest.options.language)
    if choice.model is None:
        chosen = choose_transcriber(models, manifest.options)
        choice = chosen.model_copy(update={"warnings": (*choice.warnings, *chosen.warnings)})
    applied = choice.applied(manifest)
    spoken = manifest.options.language
    if spoken is None and manifest.options.languages is None:
        _keep_language(place, applied, plan, lambda: _detected(place, applied, plan))
        spoken = place.records.language(applied, plan)
        routed = by_language(spoken)
        choice = choice.model_copy(update={"warnings": (*choice.warnings, *routed.warnings)})
        if routed.model is not None:
            choice, applied = routed, routed.applied(manifest)
            _keep_language(place, applied, plan, lambda: {"language": spoken})
    return choose_others(models, choice, applied.options, spoken)


def _keep_language(
    place: Workplace, manifest: Manifest, plan: Plan, find: Callable[[], dict[str, Any]]
) -> None:
    """Write the language under the key of the manifest's model, unless it is there."""
    key = keys.language(manifest.tenant, plan.heard, manifest.options)
    if not exists(place.store, key):
        place.store.put(key, encode(find()))


def _detected(place: Workplace, manifest: Manifest, plan: Plan) -> dict[str, Any]:
    engine = place.engine(_detecting(place, manifest.options)).engine
    return {"language": majority(engine, _spread_windows(place, manifest, plan, engine))}


def _detecting(place: Workplace, options: JobOptions) -> JobOptions:
    """Return the options with a model that detects languages, if the job's own does not."""
    model = language_detector(place.model_place(), options.model)
    if model == options.model:
        return options
    return options.model_copy(update={"model": model, "revision": None, "compute_type": "default"})


def _spread_windows(
    place: Workplace, manifest: Manifest, plan: Plan, engine: Engine
) -> list[Audio]:
    """Return one window of speech from each of several stretches at even positions.

    No audio is searched twice. Returns an empty list if no speech is found.
    """
    vad = manifest.options.vad_options()
    audios = tuple(dict.fromkeys(plan.channels)) or (plan.audio,)
    heard: set[Stretch] = set()
    for count in PLACES:
        stretches = [each for each in spread(plan.samples, len(audios), count) if each not in heard]
        found = [
            window
            for stretch in stretches
            for window in _listen(
                place, keys.pcm(manifest.tenant, audios[stretch.channel]), stretch, engine, vad
            )
        ]
        if found:
            return found
        heard.update(stretches)
    return []


def spread(samples: int, channels: int, count: int) -> tuple[Stretch, ...]:
    """Return at most `count` stretches of `PLACE_SECONDS` at even positions, without overlap.

    With several channels, the stretches take the channels in turn. A file too short for `count`
    stretches is cut into fewer, of equal length: one if it is no longer than `PLACE_SECONDS`.
    """
    longest = int(PLACE_SECONDS * SAMPLE_RATE)
    places = max(1, min(count, -(-samples // longest)))  # in time; several channels may share one
    length = min(longest, samples // places)
    pieces = min(count, places * channels)
    return tuple(
        Stretch(
            number % channels, _start(number * places // pieces, places, length, samples), length
        )
        for number in range(pieces)
    )


def _start(index: int, places: int, length: int, samples: int) -> int:
    """Return the first sample of one place, in the middle of its equal share of the file."""
    return (2 * index + 1) * samples // (2 * places) - length // 2


def _listen(
    place: Workplace, pcm: str, stretch: Stretch, engine: Engine, vad: VadOptions
) -> list[Audio]:
    """Return the stretch's window with the most speech, or an empty list."""
    audio = read_audio(place.store, pcm, Span(stretch.start, stretch.start + stretch.samples))
    spans = speech_spans(audio, engine.max_window_seconds, vad)
    windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    fullest = max(windows, key=lambda window: window.samples, default=None)
    return [fullest.cut(audio)] if fullest else []
