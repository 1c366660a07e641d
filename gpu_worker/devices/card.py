"""The card that this process's models compute on: its name, and its counter of energy.

`CUDA_VISIBLE_DEVICES` was set by the launcher; the first GPU in it is the process's own.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any

from gpu_worker.devices import used_device
from gpu_worker.devices.naming import gpu_handle
from gpu_worker.devices.nvml import is_divided

CPU = "cpu"
UNKNOWN = "unknown"


def used_card(wanted: str) -> str:
    """Return the name of the GPU that models use, or CPU; `wanted` is the setting `device`.

    A GPU that NVML does not name is `unknown`.
    """
    if wanted == CPU:
        return CPU
    name = _own_name()
    # Without NVML, CTranslate2 is asked only where a model has loaded it: to load it takes time.
    if wanted == "auto" and name is None and "ctranslate2" not in sys.modules:
        return CPU
    try:
        is_on_card = used_device(wanted).startswith("cuda")
    except ImportError:  # another engine runs here; to count its time must not end its unit
        is_on_card = name is not None
    return (name or UNKNOWN) if is_on_card else CPU


def used_joules(wanted: str) -> float | None:
    """Return what that GPU has used since its driver was loaded; None where nothing tells."""
    own = None if wanted == CPU else _own_handle()
    if own is None or used_card(wanted) == CPU:
        return None
    nvml, handle = own
    if is_divided(nvml, handle):  # the card's counter has what all its instances use
        return None
    with suppress(nvml.NVMLError):  # not supported, as by a MIG instance, or the GPU is lost
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    return None


def used_uuid(wanted: str) -> str | None:
    """Return the UUID of that GPU, as all its users see it; None on the CPU or without NVML."""
    own = None if wanted == CPU else _own_handle()
    if own is None or used_card(wanted) == CPU:
        return None
    nvml, handle = own
    with suppress(nvml.NVMLError):
        return str(nvml.nvmlDeviceGetUUID(handle))
    return None


@lru_cache(maxsize=1)
def _own_name() -> str | None:
    own = _own_handle()
    if own is None:
        return None
    nvml, handle = own
    with suppress(nvml.NVMLError):
        return str(nvml.nvmlDeviceGetName(handle))
    return None


@lru_cache(maxsize=1)
def _own_handle() -> tuple[Any, Any] | None:
    """Return NVML and its handle of the process's GPU, kept open: each unit asks twice."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if not visible:  # the launcher has hidden them
        return None
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception:  # no library, or no driver
        return None
    with suppress(nvml.NVMLError):
        return nvml, gpu_handle(nvml, visible)
    return None
