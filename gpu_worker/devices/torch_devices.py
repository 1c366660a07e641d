"""Choose the device that torch computes on, and translate its faults into other errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_worker.devices.faults import translating_device_errors
from gpu_worker.errors import DeviceFault

Result = TypeVar("Result")


def pick_device(wanted: str) -> str:
    """Return `cuda` or `cpu` for `auto`, else `wanted`. Raises DeviceFault if it is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise DeviceFault(f"torch has no device {wanted!r} here.") from error
    return wanted


def translating_torch_errors(call: Callable[[], Result]) -> Result:
    """Translate errors as `faults` does; after a MemoryError free the memory that torch caches.

    Raises MemoryError, DevicePoisoned or DeviceFault.
    """
    try:
        return translating_device_errors(call)
    except MemoryError:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the next, smaller batch needs other blocks
        raise
