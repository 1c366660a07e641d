"""GPU readings, by a stand-in for NVML's library: no test machine has what it would ask."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gpu_worker.devices import nvml
from gpu_worker.devices.nvml import GpuReading, memory_ratio, own_gpus, read_gpus


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
    "UUID": "GPU-8932f937-d72c",
}
MIG = {name: FULL[name] for name in ("Name", "MemoryInfo")}
SLICE = {
    "Name": "NVIDIA H200 MIG 1g.18gb",
    "MemoryInfo": SimpleNamespace(used=1 * 1024**3, total=16 * 1024**3),
    "UUID": "MIG-5a2f",
}
# What NVML says of a card in MIG mode; its use is that of nothing.
DIVIDED = FULL | {
    "UtilizationRates": SimpleNamespace(gpu=0, memory=0),
    "MigMode": (1, 1),
    "slices": [None, SLICE, SLICE | {"UUID": "MIG-77b0"}],  # the first place is empty
}


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
    for name in (*FULL, "MigMode"):
        setattr(module, f"nvmlDeviceGet{name}", asking(name))

    def slice_at(gpu: dict[str, Any], place: int) -> dict[str, Any]:
        if gpu["slices"][place] is None:
            raise NVMLError("not found")
        found: dict[str, Any] = gpu["slices"][place]
        return found

    module.nvmlDeviceGetMaxMigDeviceCount = lambda gpu: len(gpu["slices"])
    module.nvmlDeviceGetMigDeviceHandleByIndex = slice_at
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
            uuid="GPU-8932f937-d72c",
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


def test_an_instance_of_a_card_tells_its_own_memory_and_nothing_of_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (card,) = readings(monkeypatch, library(DIVIDED))
    assert card.is_divided and card.use_ratio is None
    assert (card.energy_joules, card.power_watts) == (1234.567, 350.5)  # of the whole card
    assert card.instances == (
        GpuReading(
            1,
            "NVIDIA H200 MIG 1g.18gb",
            memory_used_bytes=1024**3,
            memory_total_bytes=16 * 1024**3,
            uuid="MIG-5a2f",
        ),
        GpuReading(
            2,
            "NVIDIA H200 MIG 1g.18gb",
            memory_used_bytes=1024**3,
            memory_total_bytes=16 * 1024**3,
            uuid="MIG-77b0",
        ),
    )


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-0", "GPU-1", "GPU-8932f937-d72c"]),
        ("", []),
        ("1", ["GPU-1"]),
        ("1,0", ["GPU-1", "GPU-0"]),
        ("GPU-1", ["GPU-1"]),
        ("GPU-8932", ["GPU-8932f937-d72c"]),
        ("MIG-77b0", ["GPU-8932f937-d72c"]),
        ("GPU-gone", []),
    ],
)
def test_a_process_reads_the_gpus_that_it_may_use(
    visible: str | None, uuids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpus = FULL | {"UUID": "GPU-0"}, FULL | {"UUID": "GPU-1"}, DIVIDED
    monkeypatch.setitem(sys.modules, "pynvml", library(*gpus))
    found = own_gpus()
    assert [gpu.uuid for gpu in found] == uuids
    if visible == "MIG-77b0":
        assert [one.uuid for one in found[0].instances] == ["MIG-77b0"]


@pytest.mark.parametrize(
    ("visible", "ratio"), [("0", 40 / 141), ("MIG-77b0", 1 / 16), ("GPU-gone", None)]
)
def test_the_memory_of_an_instance_is_asked_for_and_not_that_of_its_card(
    visible: str, ratio: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml._memory_ratio.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setitem(sys.modules, "pynvml", library(FULL, DIVIDED))
    assert memory_ratio("cuda") == (None if ratio is None else pytest.approx(ratio))
    nvml._memory_ratio.cache_clear()


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
