"""Read this machine's GPUs through NVML: use, memory, energy, power, temperature.

A figure that a GPU does not report is None. NVML measures use, energy and power of whole cards
only. So each instance of a card in MIG mode tells its own memory and nothing else, and the card
tells no use: it would be that of all its instances, or 0.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

_MEMORY_SECONDS = 5.0  # how old the memory's figures may be


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The figures of one GPU at one moment; None for what it does not report."""

    index: int  # NVML's, in the order of the bus; of a MIG instance, its place on the card
    name: str
    use_ratio: float | None = None  # part of the last moments in which a kernel ran
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    energy_joules: float | None = None  # since its driver was loaded
    power_watts: float | None = None
    celsius: float | None = None
    uuid: str = ""  # GPU-…, or MIG-… of an instance; empty if NVML does not tell
    is_divided: bool = False  # the card is in MIG mode
    instances: tuple[GpuReading, ...] = ()  # of a card in MIG mode: those that are visible here


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


def own_gpus() -> tuple[GpuReading, ...]:
    """Read the GPUs that this process may use: those that `CUDA_VISIBLE_DEVICES` names, or all.

    The variable names a card by its index or its UUID, a MIG instance by its UUID. Of a UUID the
    beginning is enough.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return read_gpus()
    wanted = [one for one in map(str.strip, named.split(",")) if one]
    places: dict[int, GpuReading] = {}  # by the place of the first name of each
    for gpu in read_gpus() if wanted else ():
        mine = [place for place, name in enumerate(wanted) if _named(gpu, [name]) is not None]
        if mine and (own := _named(gpu, wanted)) is not None:
            places[mine[0]] = own
    return tuple(gpu for _, gpu in sorted(places.items()))


def _named(gpu: GpuReading, names: Sequence[str]) -> GpuReading | None:
    """Return the card if it is named, or with those of its instances alone that are named."""
    if str(gpu.index) in names or gpu.uuid.startswith(tuple(names)):
        return gpu
    own = tuple(one for one in gpu.instances if one.uuid.startswith(tuple(names)))
    return replace(gpu, instances=own) if own else None


@lru_cache(maxsize=1)
def _memory_ratio(_moment: int) -> float | None:
    for gpu in own_gpus()[:1]:
        own = gpu.instances[0] if gpu.instances else gpu
        if own.memory_total_bytes and own.memory_used_bytes:
            return own.memory_used_bytes / own.memory_total_bytes
    return None


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
        return _asked(nvml, question, handle)

    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return None
    divided = is_divided(nvml, handle)
    use = None if divided else ask(nvml.nvmlDeviceGetUtilizationRates)
    memory = ask(nvml.nvmlDeviceGetMemoryInfo)
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
        uuid=str(ask(nvml.nvmlDeviceGetUUID) or ""),
        is_divided=divided,
        instances=tuple(_instances(nvml, handle)) if divided else (),
    )


def _asked(nvml: Any, question: Callable[[Any], Any], handle: Any) -> Any:
    try:
        return question(handle)
    except nvml.NVMLError:  # not supported, not permitted, or the GPU is lost
        return None


def is_divided(nvml: Any, handle: Any) -> bool:
    """Return whether a card is in MIG mode; most cards cannot be."""
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:
        return False


def _instances(nvml: Any, card: Any) -> Iterator[GpuReading]:
    """Read the instances of a card in MIG mode; a container sees its own only."""
    with suppress(nvml.NVMLError):
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(card)):
            with suppress(nvml.NVMLError):  # there is none at this place, or none for us
                handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index)
                memory = _asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
                name = _asked(nvml, nvml.nvmlDeviceGetName, handle) or nvml.nvmlDeviceGetName(card)
                yield GpuReading(
                    index,
                    str(name),
                    memory_used_bytes=None if memory is None else int(memory.used),
                    memory_total_bytes=None if memory is None else int(memory.total),
                    uuid=str(nvml.nvmlDeviceGetUUID(handle)),
                )
