"""Word errors, counted in child processes: they load models and libraries, this process none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.settings import Settings
from gpu_worker import errors
from gpu_worker.accuracy.comparison import Measurement
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.errors import LibraryMissing, ScriptoriumError
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.choice import choose_engine
from orchestrator.local.workers import KEEP_MEMORY
from tasks.runs.options import JobOptions

Pair = tuple[str, str, str]  # reference, heard, language
_EXTRAS = "Install two extras: pip install 'scriptorium[worker,bench]'."


class MeasurementFailed(ScriptoriumError):
    """The process that measures accuracy ended without an answer."""

    code = "measurement_failed"
    hint = "`scriptorium doctor` checks the model libraries."


def measure(
    directory: Path, options: JobOptions, settings: Settings, threads: int | None = None
) -> Measurement:
    """Transcribe a labelled set with the options' model and compute type.

    Raises MeasurementFailed, and what the model, the files and the labelled set raise.
    """
    cores = threads or settings.cpu_threads or os.cpu_count() or 1
    token = settings.hf_token
    decoding = options.decode_options(options.language)
    chosen = choose_engine(settings.engine, options.model, options.compute_type, decoding)
    engine = EngineRequest(
        options.model,
        options.revision,
        options.compute_type,
        settings.device,
        cores,
        str(settings.model_dir) if settings.model_dir else None,
        token.get_secret_value() if token else None,
        chosen.engine,
        settings.torch_encoder,
    )
    request = {
        "directory": str(directory),
        "engine": asdict(engine),
        "options": asdict(decoding),
        "batch_size": options.batch_size,
    }
    environment = KEEP_MEMORY | {"OMP_NUM_THREADS": str(cores)}  # as a worker has
    answer = _ask("gpu_worker.accuracy.measuring", request, environment)
    if "error" in answer:
        raise known_error(answer["error"])
    error = WordError(answer["words"], answer["errors"])
    seconds, audio = answer["seconds"], answer["audio_seconds"]
    return Measurement(options.model, options.compute_type, error, seconds, audio)


def count_word_errors(pairs: Sequence[Pair]) -> list[WordError]:
    """Count the word errors of each pair. Raises LibraryMissing or MeasurementFailed."""
    try:
        answer = _ask("gpu_worker.accuracy.counting", list(pairs), {}) if pairs else []
    except MeasurementFailed as failed:
        if "ModuleNotFoundError" in failed.message:
            raise LibraryMissing("Word errors cannot be counted here.", hint=_EXTRAS) from failed
        raise
    return [WordError(*found) for found in answer]


def _ask(module: str, request: Any, environment: Mapping[str, str]) -> Any:
    """Run a module in a child process with a JSON request; return its answer."""
    child = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
        raise MeasurementFailed(f"Accuracy could not be measured: {reason}")
    return json.loads(child.stdout)


def known_error(data: Mapping[str, str]) -> ScriptoriumError:
    """Return this JSON as an error of its class in `gpu_worker.errors`, for the exit status."""
    kinds = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ScriptoriumError)
    }
    return kinds.get(data["code"], MeasurementFailed)(data["message"], hint=data["hint"])
