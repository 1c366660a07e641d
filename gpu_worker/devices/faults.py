"""Translate a device's faults, which model libraries report all as RuntimeError."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from gpu_worker.errors import DevicePoisoned

Result = TypeVar("Result")
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory", re.I)
_POISONED = re.compile(r"illegal memory access|device-side assert|unspecified launch failure", re.I)


def translating_device_errors(call: Callable[[], Result]) -> Result:
    """Return the call's result; turn a model library's RuntimeError into an error with a meaning.

    Raises MemoryError if the batch was too large and DevicePoisoned if the CUDA context is
    corrupt; every other error as it is.
    """
    try:
        return call()
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        if _POISONED.search(str(error)):
            raise DevicePoisoned() from error
        raise
