"""Read this machine's GPUs through NVML: use, memory, energy, power, temperature.

A figure that a GPU does not report is None: a MIG instance reports its memory and little else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_MEMORY_SECONDS = 5.0  # how old the memory's figures may be


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The figures of one GPU at one moment; None for what it does not report."""

    index: int  # NVML's, in the order of the bus
    name: str
    use_ratio: float | None = None  # part of the last moments in which a kernel ran
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    energy_joules: float | None = None  # since its driver was loaded
    power_watts: float | None = None
    celsius: float | None = None


def read_gpus() -> tuple[GpuReading, ...]:
    """Read every GPU that answers; return none without a library, a driver or a GPU."""
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception:  # no library, or no driver
        return ()
    try:
        with suppress(nvml.NVMLError):
            found = [_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(gpu for gpu in found if gpu is not None)
        return ()
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


@lru_cache(maxsize=1)
def _memory_ratio(_moment: int) -> float | None:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if visible and not visible.isdecimal():
        return _ratio_by_uuid(visible)
    for gpu in read_gpus():
        if str(gpu.index) == visible and gpu.memory_total_bytes and gpu.memory_used_bytes:
            return gpu.memory_used_bytes / gpu.memory_total_bytes
    return None


def _ratio_by_uuid(uuid: str) -> float | None:
    """Return the same of a GPU, or of a MIG instance, that the launcher named by its UUID."""
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception:  # no library, or no driver
        return None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByUUID(uuid))
        return int(memory.used) / int(memory.total) if memory.used and memory.total else None
    except nvml.NVMLError:
        return None
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def memory_ratio(device: str) -> float | None:
    """Return the part of this process's GPU memory in use; None where NVML does not tell.

    `device` is that of a model: for `cpu` it is None too. The GPU is read at most once in a few
    seconds.
    """
    if not device.startswith("cuda"):
        return None
    return _memory_ratio(int(time.monotonic() / _MEMORY_SECONDS))


def _read(nvml: Any, index: int) -> GpuReading | None:
    def ask(question: Callable[[Any], Any]) -> Any:
        try:
            return question(handle)
        except nvml.NVMLError:  # not supported, not permitted, or the GPU is lost
            return None

    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return None
    use, memory = ask(nvml.nvmlDeviceGetUtilizationRates), ask(nvml.nvmlDeviceGetMemoryInfo)
    energy = ask(nvml.nvmlDeviceGetTotalEnergyConsumption)  # millijoules
    power = ask(nvml.nvmlDeviceGetPowerUsage)  # milliwatts
    degrees = ask(lambda it: nvml.nvmlDeviceGetTemperature(it, nvml.NVML_TEMPERATURE_GPU))
    return GpuReading(
        index=index,
        name=str(ask(nvml.nvmlDeviceGetName) or "unknown"),
        use_ratio=None if use is None else use.gpu / 100,
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
        energy_joules=None if energy is None else energy / 1000,
        power_watts=None if power is None else power / 1000,
        celsius=None if degrees is None else float(degrees),
    )
