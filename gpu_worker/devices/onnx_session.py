"""Sessions of ONNX Runtime: which providers a device has, and the first of them that starts.

A provider whose libraries are missing does not raise: ONNX Runtime takes the next one and writes a
line. So a session counts as started when its first provider is the one that was asked for, and a
window has passed through it.
"""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime

from gpu_worker.devices.faults import translating_device_errors

log = logging.getLogger(__name__)

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
LARGEST = 16  # windows that pass through a graph at once: a GPU is full with fewer
Result = TypeVar("Result")
_TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider that may compute a graph, and those that get what it cannot compute."""

    provider: str
    options: dict[str, str] = field(default_factory=dict)
    behind: tuple[Offer, ...] = ()
    cache: Path | None = None  # what it keeps on disk, which may be broken

    def as_told(self) -> list[tuple[str, dict[str, str]]]:
        """Return the providers as ONNX Runtime takes them."""
        return [(offer.provider, offer.options) for offer in (self, *self.behind)]


def offers(
    device: str, kind: str, cache: Path, profile: Mapping[str, str] | None = None
) -> tuple[Offer, ...]:
    """Return the providers for a device, the fastest first.

    `device` is cpu, cuda or cuda:1, `kind` the type that the engine computes with, `cache` the
    directory that holds TensorRT's engines and `profile` its options about the shapes that come.
    On a GPU the CPU is no offer: it would be slow without a word.
    """
    if device == "cpu":
        return (Offer(CPU),)
    index = device.partition(":")[2] or "0"
    taken = {
        "device_id": index,
        "arena_extend_strategy": "kSameAsRequested",  # not twice as much: torch is there too
        "use_tf32": str(int(kind == "bfloat16")),
    }
    cuda = Offer(CUDA, taken)
    built = {
        "device_id": index,
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
        "trt_fp16_enable": str(kind == "float16"),
        "trt_bf16_enable": str(kind == "bfloat16"),
        **(profile or {}),
    }
    return (Offer(TENSORRT, built, (cuda,), cache), cuda)


def profile_of(name: str, shape: Sequence[int]) -> dict[str, str]:
    """Return TensorRT's options for batches of 1 to `LARGEST` windows of this shape."""
    window = "x".join(map(str, shape))
    sizes = {"min": 1, "opt": LARGEST, "max": LARGEST}
    return {f"trt_profile_{edge}_shapes": f"{name}:{size}x{window}" for edge, size in sizes.items()}


def cache_name(gpu: str) -> str:
    """Return a name for TensorRT's engines: they serve one GPU and one set of versions."""
    parts = [gpu, f"onnxruntime-{onnxruntime.__version__}"]
    for package in _TENSORRT_PACKAGES:
        with suppress(PackageNotFoundError):
            parts.append(f"{package}-{version(package)}")
    return "-".join(parts).replace(" ", "-").replace("/", "-")


def start(file: Path, offered: Sequence[Offer], threads: int) -> Any | None:
    """Return a session with the first provider that starts, or None. Say why others did not."""
    there = onnxruntime.get_available_providers()
    for offer in offered:
        if offer.provider not in there:
            log.warning("The encoder goes without %s: onnxruntime has none here.", offer.provider)
            continue
        try:
            session = _start_anew(file, offer, threads)
        except Exception as error:  # ONNX Runtime's errors have no class of their own
            reason = str(error).partition("\n")[0]
            log.warning("The encoder goes without %s: %s", offer.provider, reason)
            continue
        log.info("The encoder runs on %s.", offer.provider)
        return session
    return None


def _start_anew(file: Path, offer: Offer, threads: int) -> Any:
    """Start the provider; if it fails and may have read a broken cache, once more without it."""
    try:
        return _started(file, offer, threads)
    except Exception:
        if offer.cache is None or not offer.cache.is_dir() or not any(offer.cache.iterdir()):
            raise
    shutil.rmtree(offer.cache, ignore_errors=True)
    return _started(file, offer, threads)


def _started(file: Path, offer: Offer, threads: int) -> Any:
    if offer.cache is not None:
        offer.cache.mkdir(parents=True, exist_ok=True)
    if offer.provider == TENSORRT:
        with suppress(ImportError):  # TensorRT's wheel loads its libraries when it is imported
            importlib.import_module("tensorrt")
    session = onnxruntime.InferenceSession(
        str(file), session_options(threads), providers=offer.as_told(), enable_fallback=0
    )
    used = session.get_providers()[0]
    if used != offer.provider:
        raise RuntimeError(f"{used} came in its place")
    (sound,) = session.get_inputs()
    kind = np.float16 if sound.type == "tensor(float16)" else np.float32
    (states,) = session.run(None, {sound.name: np.zeros((1, *sound.shape[1:]), kind)})
    if not np.isfinite(states).all():
        raise RuntimeError("it computes no numbers")
    return session


def session_options(threads: int) -> Any:
    """Return ONNX Runtime's options: so many threads, which do not wait busily for work."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def translating_onnx_errors(call: Callable[[], Result]) -> Result:
    """Return the call's result; translate ONNX Runtime's errors as those of other libraries.

    They have a class of their own, and what they mean is read from their text. Raises as
    `translating_device_errors`.
    """

    def told() -> Result:
        try:
            return call()
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "onnxruntime":
                raise RuntimeError(str(error)) from error
            raise

    return translating_device_errors(told)
