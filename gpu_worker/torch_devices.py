"""What torch computes on, and its faults by the names that this house has for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_worker.errors import DevicePoisoned, InvalidOption

Result = TypeVar("Result")
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory", re.I)
_POISONED = re.compile(r"illegal memory access|device-side assert|unspecified launch failure", re.I)


def pick_device(wanted: str) -> str:
    """`cuda` or `cpu` for `auto`, else what is wanted. Raises InvalidOption if it is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InvalidOption(f"torch has no device {wanted!r} here.") from error
    return wanted


def guarded(call: Callable[[], Result]) -> Result:
    """torch reports everything as RuntimeError; raise MemoryError or DevicePoisoned instead."""
    try:
        return call()
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # the next, smaller batch needs other blocks
            raise MemoryError(str(error)) from error
        if _POISONED.search(str(error)):
            raise DevicePoisoned() from error
        raise
