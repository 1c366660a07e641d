"""What torch computes on, and its faults by the names that this house has for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_worker.devices import faults as device_faults
from gpu_worker.errors import InvalidOption

Result = TypeVar("Result")


def pick_device(wanted: str) -> str:
    """`cuda` or `cpu` for `auto`, else what is wanted. Raises InvalidOption if it is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InvalidOption(f"torch has no device {wanted!r} here.") from error
    return wanted


def translating_device_errors(call: Callable[[], Result]) -> Result:
    """As `device_faults.guarded`; a call that ran out of memory leaves none behind."""
    try:
        return device_faults.translating_device_errors(call)
    except MemoryError:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the next, smaller batch needs other blocks
        raise
