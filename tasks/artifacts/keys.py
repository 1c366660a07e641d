"""Where each artifact is, and what its content depends on.

A stage's artifact is keyed by tenant, audio, span and a digest of just those
options that change it; so a retry, a resume and a second submission find it.

    open/<tenant>/<job>/<run>                      the run has no result yet
    dead-letters/<tenant>/<job>/<run>/<stage>/<index>
    tenants/<tenant>/sources/<sha256>              bytes as submitted
    tenants/<tenant>/jobs/<job>/manifest.json
                               /plan.json
                               /runs/<run>/started.json, failed/…, canceled, timings.json
                               /runs/<run>/result.json        the commit point
    tenants/<tenant>/prepared/<sha256>-<digest>.json
    tenants/<tenant>/audio/<sha256>/pcm            mono, 16 kHz, s16le
                                   /chunks-<digest>.json
                                   /language-<digest>.json
                                   /transcribe/<first>-<last>-<digest>.json
                                   /align/<first>-<last>-<digest>.json
                                   /embed_speakers/<shard>-<digest>.npz, and .npz.receipt.json
                                   /diarize-<digest>.json
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from gpu_worker.diarization.models import diarize_model
from tasks.options import JobOptions
from tasks.stages import Stage, Unit

OPEN = "open/"
DEAD_LETTERS = "dead-letters/"

# What changes the text of a window, apart from its samples. The batch size does not.
_DECODE_OPTIONS = frozenset(
    {
        "model", "revision", "compute_type", "task", "beam_size", "best_of", "patience",
        "length_penalty", "repetition_penalty", "no_repeat_ngram_size", "temperature",
        "temperature_increment_on_fallback", "compression_ratio_threshold", "logprob_threshold",
        "no_speech_threshold", "initial_prompt", "hotwords", "suppress_tokens", "max_new_tokens",
        "word_timestamps", "vad_threshold",
    }
)  # fmt: skip
# Raised when the code changes what a stage makes of the same input.
_VERSIONS = {
    Stage.PREPARE: 1,
    Stage.FAN_OUT: 1,
    Stage.DETECT_LANGUAGE: 1,
    Stage.TRANSCRIBE: 2,
    Stage.ALIGN: 1,
    Stage.EMBED_SPEAKERS: 1,
    Stage.DIARIZE: 1,
}


def digest(stage: Stage, values: dict[str, Any]) -> str:
    """Short and stable, the same on every machine."""
    text = json.dumps([stage.value, _VERSIONS[stage], values], sort_keys=True)
    return sha256(text.encode("utf-8")).hexdigest()[:16]


def open_run(unit: Unit) -> str:
    return f"{OPEN}{unit.tenant}/{unit.job}/{unit.run}"


def dead_letter(unit: Unit) -> str:
    return f"{DEAD_LETTERS}{unit.tenant}/{unit.job}/{unit.run}/{unit.field}"


def source(tenant: str, checksum: str) -> str:
    return f"tenants/{tenant}/sources/{checksum}"


def jobs(tenant: str) -> str:
    return f"tenants/{tenant}/jobs/"


def manifest(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/manifest.json"


def plan(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/plan.json"


def runs(tenant: str, job: str) -> str:
    return f"{jobs(tenant)}{job}/runs/"


def run(unit: Unit, name: str) -> str:
    """`name` is started.json, canceled, timings.json or result.json."""
    return f"{runs(unit.tenant, unit.job)}{unit.run}/{name}"


def failed(unit: Unit) -> str:
    return run(unit, f"failed/{unit.field}.json")


def prepared(tenant: str, checksum: str, options: JobOptions) -> str:
    split = {"channels": "split"} if options.channels == "split" else {}
    mark = digest(Stage.PREPARE, {"channel": options.channel} | split)
    return f"tenants/{tenant}/prepared/{checksum}-{mark}.json"


def pcm(tenant: str, audio: str) -> str:
    return f"tenants/{tenant}/audio/{audio}/pcm"


def chunks(tenant: str, audio: str, options: JobOptions) -> str:
    mark = digest(Stage.FAN_OUT, {"chunk_seconds": options.chunk_seconds})
    return f"tenants/{tenant}/audio/{audio}/chunks-{mark}.json"


def language(tenant: str, audio: str, options: JobOptions) -> str:
    used = {"model", "revision", "compute_type", "vad_threshold"}
    mark = digest(Stage.DETECT_LANGUAGE, options.model_dump(mode="json", include=used))
    return f"tenants/{tenant}/audio/{audio}/language-{mark}.json"


def transcribed(
    tenant: str, audio: str, chunk: tuple[int, int], options: JobOptions, spoken: str | None
) -> str:
    first, last = chunk
    mark = _transcribe_mark(options, spoken)
    return f"tenants/{tenant}/audio/{audio}/transcribe/{first}-{last}-{mark}.json"


def aligned(
    tenant: str, audio: str, chunk: tuple[int, int], options: JobOptions, spoken: str | None
) -> str:
    first, last = chunk
    values = options.model_dump(mode="json", include={"aligner", "align_model"})
    mark = digest(Stage.ALIGN, values | {"words": _transcribe_mark(options, spoken)})
    return f"tenants/{tenant}/audio/{audio}/align/{first}-{last}-{mark}.json"


def embedded(tenant: str, audio: str, shard: int, options: JobOptions) -> str:
    return f"tenants/{tenant}/audio/{audio}/embed_speakers/{shard}-{_embed_mark(options)}.npz"


def diarized(tenant: str, audio: str, options: JobOptions) -> str:
    used = {"num_speakers", "min_speakers", "max_speakers", "known_speakers"}
    values = options.model_dump(mode="json", include=used)
    mark = digest(Stage.DIARIZE, values | {"voices": _embed_mark(options)})
    return f"tenants/{tenant}/audio/{audio}/diarize-{mark}.json"


def receipt(key: str) -> str:
    """The receipt of an artifact that is not JSON."""
    return f"{key}.receipt.json"


def _transcribe_mark(options: JobOptions, spoken: str | None) -> str:
    values = options.model_dump(mode="json", include=set(_DECODE_OPTIONS))
    return digest(Stage.TRANSCRIBE, values | {"language": spoken})


def _embed_mark(options: JobOptions) -> str:
    model = diarize_model(options.model, options.diarize_model)
    return digest(Stage.EMBED_SPEAKERS, {"model": model, "shard_seconds": options.shard_seconds})
