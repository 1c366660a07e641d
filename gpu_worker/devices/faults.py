"""Translate a device's faults, which model libraries report all as RuntimeError."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from gpu_worker.errors import DeviceFault, DevicePoisoned, OutOfMemory

Result = TypeVar("Result")
# Of CUDA and torch, of torch on a CPU, of ONNX Runtime.
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|failed to allocate memory", re.I)
_POISONED = re.compile(r"illegal memory access|device-side assert|unspecified launch failure", re.I)
# Names of NVIDIA's parts, in what the libraries say when one of them fails or is missing.
_DEVICE = re.compile(
    r"cuda|cublas|cudnn|cufft|curand|nccl|nvrtc|nvml|tensorrt|\bECC\b|\bdriver\b"
    r"|unsupported device",
    re.I,
)


def translating_device_errors(call: Callable[[], Result]) -> Result:
    """Return the call's result; turn a model library's RuntimeError into an error with a meaning.

    Raises MemoryError if the batch was too large, DevicePoisoned if the CUDA context is corrupt
    and DeviceFault for every other error of the device; an error of the input or the model as it
    is.
    """
    try:
        return call()
    except (RuntimeError, ValueError, OSError) as error:  # OSError: a shared library is missing
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        if _POISONED.search(str(error)):
            raise DevicePoisoned() from error
        if _DEVICE.search(str(error)):
            raise DeviceFault(f"The device failed: {_first_line(error)}") from error
        raise


def told(error: Exception) -> Exception:
    """Return the error that the failure of a single item is for the one who brought it."""
    if not isinstance(error, MemoryError):
        return error
    out_of_memory = OutOfMemory()
    out_of_memory.__cause__ = error
    return out_of_memory


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
