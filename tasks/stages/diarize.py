"""Stage `diarize`: cluster the voices of all shards into speakers, and return their turns.

The clustering sees the whole file at once, so a voice has the same name from the first minute to
the last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoding import decode
from gpu_worker.audio.samples import Audio, pcm_to_audio
from gpu_worker.diarization import Diarization, Diarizer, ShardVoices, SpeakerBounds, Vector
from gpu_worker.diarization.identification import name_speakers
from gpu_worker.errors import AudioOutOfBounds, PermanentError, StoreRefused
from tasks.app import app
from tasks.artifacts import ArtifactMissing
from tasks.artifacts.presence import present
from tasks.artifacts.submitted import fetch_within
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.options import JobOptions
from tasks.runs.records import failures
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit
from tasks.stages.findings import READERS

CLIP_SECONDS = 60.0  # the part of a known speaker's clip that is used; no more is decoded
# Clips count against no quota of length, so there is little time for each, and for all of a job.
CLIP_LIMITS = AudioLimits(max_output_bytes=1 << 22, cpu_seconds=30.0, wall_seconds=60.0)
ALL_CLIPS_SECONDS = 300.0


class ShardFailed(PermanentError):
    """A shard was given up, so the voices of a part of the file are missing."""

    code = "shard_failed"
    hint = "Remove the cause of that shard's failure, then `scriptorium rerun JOB`."


@app.task(name=Stage.DIARIZE.task_name, bind=True)
def diarize(self: Any, tenant: str, job: str, run: int) -> dict[str, Any]:
    """Diarize one job. Never raises into the chain: a failure becomes an artifact."""
    return run_unit(self, Run(tenant, job, run).unit(Stage.DIARIZE), _describe)


def _describe(place: Workplace, unit: Unit) -> Work:
    plan = place.records.plan(unit.run.tenant, unit.run.job)
    options = place.records.resolved(unit.run).options

    def compute(check: Callable[[], None]) -> dict[str, Any] | None:
        shards = [
            keys.embedded(unit.run.tenant, plan.audio, index, options)
            for index in range(plan.shards(options))
        ]
        if len(present(place.store, shards)) < len(shards):
            _give_up_with_a_shard(place, unit)
            return None
        diarizer = place.diarizer(options)
        bounds = SpeakerBounds(options.num_speakers, options.min_speakers, options.max_speakers)
        found = diarizer.cluster(_voices(place, shards, check), plan.samples, bounds)
        known, warnings = _known(place, unit.run.tenant, options, diarizer)
        named = name_speakers(found, known) if known else found
        warnings += _fewer(named, bounds)
        return named.to_json() | {"model": diarizer.name, "warnings": warnings}

    return Work(place.records.key(unit), compute, audio_seconds=plan.seconds)


def _give_up_with_a_shard(place: Workplace, unit: Unit) -> None:
    """Raise ShardFailed if a shard was given up; return if it may still come."""
    for (stage, index), error in failures(place.store, unit.run).items():
        if stage is Stage.EMBED_SPEAKERS:
            raise ShardFailed(f"Shard {index} failed ({error['code']}): {error['message']}")


def _voices(
    place: Workplace, shards: list[str], check: Callable[[], None]
) -> Iterator[ShardVoices]:
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(shards), READERS):
            check()
            read = pool.map(place.store.get, shards[first : first + READERS])
            yield from map(ShardVoices.from_bytes, read)


def _known(
    place: Workplace, tenant: str, options: JobOptions, diarizer: Diarizer
) -> tuple[dict[str, Vector], list[dict[str, str]]]:
    """Return each known speaker's embedding by name, and warnings for clips without a usable one.

    An embedding is a vector that the diarizer makes of a voice.
    """
    voices: dict[str, Vector] = {}
    warnings: list[dict[str, str]] = []
    end = time.monotonic() + ALL_CLIPS_SECONDS
    for known in options.known_speakers:
        try:
            voice = diarizer.voice(_clip(place, keys.source(tenant, known.clip), end))
            problem = None if voice is not None else "the clip has too little speech"
        except StoreRefused:  # says nothing of the clip
            raise
        except (PermanentError, ArtifactMissing) as error:
            voice, problem = None, str(error)
        if voice is not None:
            voices[known.name] = voice
        else:
            message = f"{known.name} cannot be recognised: {problem}."
            warnings.append({"code": "known_speaker_unusable", "message": message})
    return voices, warnings


def _fewer(found: Diarization, bounds: SpeakerBounds) -> list[dict[str, str]]:
    """Return a warning if fewer speakers were found than the options ask for."""
    asked = bounds.num_speakers or bounds.min_speakers or 0
    heard = len({turn.speaker for turn in found.turns})
    if heard >= asked:
        return []
    least = "" if bounds.num_speakers else "at least "
    people = "1 speaker was" if asked == 1 else f"{asked} speakers were"
    message = f"{least}{people} asked for, {heard} found: no more could be told apart."
    return [{"code": "fewer_speakers", "message": message[0].upper() + message[1:]}]


def _clip(place: Workplace, key: str, end: float) -> Audio:
    """Return the beginning of a clip, decoded before `end` by the monotonic clock.

    Raises AudioOutOfBounds if the clip is too large or takes too long, ArtifactMissing,
    or what `decode` raises.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise AudioOutOfBounds(f"The clips take more than {ALL_CLIPS_SECONDS:g} seconds to decode.")
    limits = replace(CLIP_LIMITS, wall_seconds=min(left, CLIP_LIMITS.wall_seconds))
    with place.scratch() as scratch:
        clip, pcm = scratch / "clip", scratch / "pcm"
        fetch_within(place.store, key, clip, place.settings.max_source_bytes)
        decode(clip, pcm, first_seconds=CLIP_SECONDS, limits=limits)
        return pcm_to_audio(pcm.read_bytes())
