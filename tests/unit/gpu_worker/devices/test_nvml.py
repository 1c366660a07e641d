"""GPU readings, by a stand-in for NVML's library: no test machine has what it would ask."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gpu_worker.devices.nvml import GpuReading, read_gpus


class NVMLError(Exception):
    """As pynvml's."""


class NVMLError_NotSupported(NVMLError):
    """As pynvml's."""


FULL = {
    "Name": "NVIDIA H200",
    "UtilizationRates": SimpleNamespace(gpu=75, memory=20),
    "MemoryInfo": SimpleNamespace(used=40 * 1024**3, total=141 * 1024**3),
    "TotalEnergyConsumption": 1_234_567,  # mJ
    "PowerUsage": 350_500,  # mW
    "Temperature": 61,
}
MIG = {name: FULL[name] for name in ("Name", "MemoryInfo")}


def library(*gpus: dict[str, Any] | Exception, init: Exception | None = None) -> ModuleType:
    """A pynvml that knows these GPUs; what one lacks is not supported."""
    module: Any = ModuleType("pynvml")
    module.NVMLError, module.NVML_TEMPERATURE_GPU, module.shutdowns = NVMLError, 0, 0

    def start() -> None:
        if init is not None:
            raise init

    def handle(index: int) -> dict[str, Any]:
        gpu = gpus[index]
        if isinstance(gpu, Exception):
            raise gpu
        return gpu

    def asking(name: str) -> Any:
        def ask(gpu: dict[str, Any], *_: Any) -> Any:
            if name not in gpu:
                raise NVMLError_NotSupported()
            return gpu[name]

        return ask

    def shutdown() -> None:
        module.shutdowns += 1

    module.nvmlInit, module.nvmlShutdown = start, shutdown
    module.nvmlDeviceGetCount = lambda: len(gpus)
    module.nvmlDeviceGetHandleByIndex = handle
    for name in FULL:
        setattr(module, f"nvmlDeviceGet{name}", asking(name))
    found: ModuleType = module
    return found


def readings(monkeypatch: pytest.MonkeyPatch, module: ModuleType | None) -> tuple[GpuReading, ...]:
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return read_gpus()


def test_a_gpu_tells_everything_in_base_units(monkeypatch: pytest.MonkeyPatch) -> None:
    module = library(FULL)
    assert readings(monkeypatch, module) == (
        GpuReading(
            index=0,
            name="NVIDIA H200",
            use_ratio=0.75,
            memory_used_bytes=40 * 1024**3,
            memory_total_bytes=141 * 1024**3,
            energy_joules=1234.567,
            power_watts=350.5,
            celsius=61.0,
        ),
    )
    assert module.__dict__["shutdowns"] == 1


def test_what_a_gpu_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    (only,) = readings(monkeypatch, library(MIG))
    assert only.memory_used_bytes == 40 * 1024**3
    told = (only.use_ratio, only.energy_joules, only.power_watts, only.celsius)
    assert told == (None, None, None, None)
    (silent,) = readings(monkeypatch, library({}))
    assert silent == GpuReading(0, "unknown")


def test_a_gpu_that_is_lost_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = readings(monkeypatch, library(NVMLError("lost"), FULL))
    assert [gpu.index for gpu in found] == [1]


@pytest.mark.parametrize(
    "module",
    [None, library(), library(FULL, init=NVMLError("driver not loaded"))],
    ids=["no library", "no GPU", "no driver"],
)
def test_without_a_gpu_there_is_nothing_to_tell(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
) -> None:
    assert readings(monkeypatch, module) == ()


def test_a_driver_that_dies_while_it_is_asked_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = library(FULL)

    def die() -> int:
        raise NVMLError("driver unloaded")

    monkeypatch.setattr(module, "nvmlDeviceGetCount", die)
    assert readings(monkeypatch, module) == ()
    assert module.__dict__["shutdowns"] == 1


def test_here_too_it_can_be_asked() -> None:
    assert isinstance(read_gpus(), tuple)
