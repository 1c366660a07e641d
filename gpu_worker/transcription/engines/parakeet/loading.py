"""Load a model of NeMo's Parakeet kind by name into an engine, and check that it hears."""

from __future__ import annotations

import importlib
import json
import logging
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnxruntime

from gpu_worker.devices import used_device
from gpu_worker.devices.onnx_session import (
    TENSORRT,
    Offer,
    cache_name,
    offers,
    session_options,
)
from gpu_worker.errors import DeviceFault, InvalidOption, LibraryMissing, UnknownModel
from gpu_worker.models.parakeet import INSTALL_PARAKEET, parakeet_files, parakeet_languages
from gpu_worker.models.wheels import models_root
from gpu_worker.models.whisper import fetch_model, find_model, longest_window
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.parakeet.engine import ParakeetEngine
from gpu_worker.transcription.hearing import check_hearing

log = logging.getLogger(__name__)
# The heads that tell when they wrote a token, by onnx-asr's names. Canary's (aed) does not.
TYPES = ("nemo-conformer-ctc", "nemo-conformer-rnnt", "nemo-conformer-tdt")
_QUANTIZATIONS = {"default": None, "auto": None, "float32": None, "int8": "int8"}
_NUMBERS = "float32"  # that the graphs compute with, but for what is int8 in them
_OF_FILES = ("InvalidProtobuf", "InvalidGraph", "NoSuchFile")  # ONNX Runtime's classes of errors


def load(request: EngineRequest) -> ParakeetEngine:
    """Load a model by name, and check that it hears.

    Raises UnknownModel, ModelUnavailable, InvalidOption, LibraryMissing, DeviceFault, MemoryError.
    """
    check_libraries(used_device(request.device))
    quantization = _quantization(request)
    source = find_model(request.model, request.revision)
    if source.repository is not None:
        source = replace(source, files=parakeet_files(quantization))
    directory = fetch_model(source, request.model_dir, request.hub_token)
    if quantization is None and not parakeet_files().is_whole(directory):
        quantization = "int8"  # the directory has no other
    languages = parakeet_languages(request.model, directory)
    if not languages:
        raise InvalidOption(
            f"It is not known which languages {request.model!r} writes.",
            hint="Put its files into a directory, with a model.json such as "
            '{"languages": ["en", "de"]} beside them, and name the directory.',
        )
    model = _load(request, directory, quantization)
    device = used_device(request.device)
    engine = ParakeetEngine(source.name, model, device, longest_window(directory), languages)
    check_hearing(engine)
    return engine


def check_libraries(device: str) -> None:
    """Raise LibraryMissing if no model of this kind can be loaded on the device."""
    if find_spec("onnx_asr") is None:
        raise LibraryMissing("onnx-asr is not installed.", hint=INSTALL_PARAKEET)
    there = onnxruntime.get_available_providers()
    if not any(offer.provider in there for offer in offers(device, _NUMBERS, Path())):
        raise LibraryMissing(
            f"This onnxruntime cannot compute on {device}.",
            hint="Install onnxruntime-gpu in the place of onnxruntime, see docs/models.md.",
        )


def _quantization(request: EngineRequest) -> str | None:
    if request.compute_type not in _QUANTIZATIONS:
        known = ", ".join(_QUANTIZATIONS)
        raise InvalidOption(
            f"Model {request.model!r} has no compute_type {request.compute_type}, only {known}."
        )
    return _QUANTIZATIONS[request.compute_type]


def _load(request: EngineRequest, directory: Path, quantization: str | None) -> Any:
    """Return onnx-asr's model, on the first provider that starts."""
    kind = _type_of(request.model, directory)
    device = used_device(request.device)
    kept = models_root(request.model_dir) / "onnx" / f"{directory.name}-{cache_name(device)}"
    reasons: list[str] = []
    for offer in offers(device, _NUMBERS, kept):
        if offer.provider not in onnxruntime.get_available_providers():
            reasons.append(f"onnxruntime has no {offer.provider} here")
            continue
        try:
            return _started(kind, directory, quantization, offer, request.threads)
        except MemoryError:
            raise
        except Exception as error:  # of ONNX Runtime, whose errors have no class of their own
            reason = str(error).partition("\n")[0]
            if device == "cpu" or _is_of_the_files(error):
                raise UnknownModel(f"{request.model!r} cannot be loaded: {reason}.") from error
            log.warning("Parakeet goes without %s: %s", offer.provider, reason)
            reasons.append(f"{offer.provider}: {reason}")
    raise DeviceFault(
        f"Model {request.model!r} does not start on {device}: {'; '.join(reasons)}.",
        hint="Look at the GPU's driver and at the versions of CUDA and cuDNN, see docs/models.md.",
    )


def _is_of_the_files(error: Exception) -> bool:
    """Return whether the files are wrong, and not the device."""
    return type(error).__module__.startswith("onnx_asr") or type(error).__name__ in _OF_FILES


def _type_of(model: str, directory: Path) -> str:
    try:
        told = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        kind = str(told.get("model_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise UnknownModel(f"{model!r} has no config.json that can be read: {error}.") from error
    if kind not in TYPES:
        raise UnknownModel(
            f"{model!r} is a model of type {kind}, which gives its words no times.",
            hint=f"Types that are known here: {', '.join(TYPES)}.",
        )
    return kind


def _started(
    kind: str, directory: Path, quantization: str | None, offer: Offer, threads: int
) -> Any:
    import onnx_asr

    if offer.cache is not None:
        offer.cache.mkdir(parents=True, exist_ok=True)
    if offer.provider == TENSORRT:
        with suppress(ImportError):  # TensorRT's wheel loads its libraries when it is imported
            importlib.import_module("tensorrt")
    model = onnx_asr.load_model(
        kind,
        directory,
        quantization=quantization,
        sess_options=session_options(threads),
        providers=offer.as_told(),
    )
    for session in vars(model.asr).values():
        if isinstance(session, onnxruntime.InferenceSession):
            used = session.get_providers()[0]
            if used != offer.provider:
                raise RuntimeError(f"{used} came in its place")
    log.info("Parakeet runs on %s.", offer.provider)
    return model.with_timestamps()
