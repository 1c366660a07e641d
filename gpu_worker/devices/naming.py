"""The names by which a process is given a GPU: an index, a GPU's UUID, or a MIG instance's.

An index is one of NVML's, in the order of the bus; a UUID is what `nvidia-smi -L` prints, and
stays the same when a card is taken out or the driver is loaded anew.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from gpu_worker.errors import InvalidOption

_UUID = r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_INDEX = re.compile(r"[0-9]{1,3}")
_WHOLE = re.compile(rf"GPU-{_UUID}", re.IGNORECASE)
# Drivers before 470 name an instance by its GPU and two numbers.
_INSTANCE = re.compile(rf"MIG-(?:{_UUID}|GPU-{_UUID}/([0-9]+)/([0-9]+))", re.IGNORECASE)
_HINT = (
    "Give one index, such as 0, or one UUID as `nvidia-smi -L` prints it: GPU-… for a GPU, MIG-… "
    "for a MIG instance."
)


def checked_gpu(text: str) -> str:
    """Return the name of one GPU as CUDA_VISIBLE_DEVICES takes it. Pure. Raises InvalidOption."""
    name = text.strip()
    if "," in name:
        raise InvalidOption(
            f"{name!r} is more than one GPU, and a worker uses one.",
            hint="Start a worker for each.",
        )
    if not any(form.fullmatch(name) for form in (_INDEX, _WHOLE, _INSTANCE)):
        raise InvalidOption(f"{name!r} is no name of a GPU.", hint=_HINT)
    return name


def short_gpu(name: str) -> str:
    """Return a checked name for the name of a worker: the index, or as `-GPU-1a2b3c4d`. Pure."""
    if _INDEX.fullmatch(name):
        return name
    whole = _WHOLE.fullmatch(name)
    if whole:
        return f"-GPU-{whole.group(1)}"
    instance = _INSTANCE.fullmatch(name)
    parts = [part for part in (instance.groups() if instance else ()) if part]
    return "-".join(("-MIG", *parts))


def missing_gpu(name: str) -> str | None:
    """Say that this machine has no GPU of this checked name, and which it has; None if it has it.

    None too where nothing tells: without NVML's library or a driver, and for a MIG instance, which
    not every driver finds by its name.
    """
    if _INSTANCE.fullmatch(name):
        return None
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception:  # no library, or no driver
        return None
    try:
        gpu_handle(nvml, name)
    except (nvml.NVMLError_InvalidArgument, nvml.NVMLError_NotFound):
        there = ", ".join(_names(nvml)) or "none"
        return f"There is no GPU {name} on this machine. It has: {there}."
    except nvml.NVMLError:  # it is there and does not answer: the worker's self-test tells
        return None
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
    return None


def gpu_handle(nvml: Any, name: str) -> Any:
    """Return NVML's handle of a GPU by its index or UUID. Raises nvml.NVMLError."""
    if name.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def _names(nvml: Any) -> list[str]:
    found = []
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError):
            found.append(f"{index} ({nvml.nvmlDeviceGetUUID(gpu_handle(nvml, str(index)))})")
    return found
