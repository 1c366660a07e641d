"""The names by which a worker is given a GPU, by a stand-in for NVML's library."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from gpu_worker.devices.naming import checked_gpu, missing_gpu, short_gpu
from gpu_worker.devices.nvml import _memory_ratio, memory_ratio
from gpu_worker.errors import InvalidOption
from tests.unit.gpu_worker.devices.test_nvml import FULL, NVMLError, library

GPU = "GPU-1a2b3c4d-0000-1111-2222-333344445555"
OTHER = "GPU-9f9f9f9f-0000-1111-2222-333344445555"
MIG = "MIG-5e6f7a8b-0000-1111-2222-333344445555"
OLD_MIG = f"MIG-{GPU}/7/0"


class NotFound(NVMLError):
    """As pynvml's NVMLError_NotFound."""


def with_uuids(*uuids: str) -> ModuleType:
    """A library whose GPUs, and MIG instances, have these UUIDs; others are not found."""
    gpus = [FULL | {"UUID": uuid} for uuid in uuids]
    module: Any = library(*gpus)
    module.NVMLError_NotFound = module.NVMLError_InvalidArgument = NotFound

    def by_index(index: int) -> dict[str, Any]:
        if index >= len(gpus):
            raise NotFound
        return gpus[index]

    def by_uuid(uuid: str) -> dict[str, Any]:
        if uuid not in uuids:
            raise NotFound
        return gpus[uuids.index(uuid)]

    module.nvmlDeviceGetHandleByIndex = by_index
    module.nvmlDeviceGetHandleByUUID = by_uuid
    module.nvmlDeviceGetUUID = lambda gpu: gpu["UUID"]
    found: ModuleType = module
    return found


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("0", "0"),
        ("15", "15"),
        (GPU, "-GPU-1a2b3c4d"),
        (MIG, "-MIG-5e6f7a8b"),
        (OLD_MIG, "-MIG-1a2b3c4d-7-0"),
    ],
)
def test_a_gpu_is_named_by_its_index_or_uuid(name: str, short: str) -> None:
    assert checked_gpu(f" {name} ") == name
    assert short_gpu(name) == short


@pytest.mark.parametrize(
    "name", ["", "-1", "cuda:0", "gpu0", "GPU-1a2b3c4d", "GPU-", "MIG-7", "all", "1e9", "0x1", "٣"]
)
def test_nonsense_is_no_gpu(name: str) -> None:
    with pytest.raises(InvalidOption, match="is no name of a GPU"):
        checked_gpu(name)


@pytest.mark.parametrize("names", ["0,1", f"{GPU},{OTHER}"])
def test_a_worker_uses_one_gpu(names: str) -> None:
    with pytest.raises(InvalidOption, match="more than one GPU"):
        checked_gpu(names)


def test_a_gpu_that_this_machine_has_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU, OTHER))
    assert [missing_gpu(name) for name in ("0", "1", GPU, OTHER)] == [None] * 4


@pytest.mark.parametrize("name", ["2", OTHER])
def test_of_a_gpu_that_is_not_here_it_is_said_which_are(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU))
    assert missing_gpu(name) == f"There is no GPU {name} on this machine. It has: 0 ({GPU})."


def test_where_nothing_tells_no_gpu_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert missing_gpu("7") is None
    monkeypatch.setitem(sys.modules, "pynvml", library(init=NVMLError("driver not loaded")))
    assert missing_gpu("7") is None
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU))
    assert missing_gpu(MIG) is None


def test_the_memory_of_a_gpu_with_a_uuid_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _memory_ratio.cache_clear()
    monkeypatch.setitem(sys.modules, "pynvml", with_uuids(GPU, MIG))
    for name, ratio in ((GPU, 40 / 141), (MIG, 40 / 141), (OTHER, None)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", name)
        _memory_ratio.cache_clear()
        assert memory_ratio("cuda") == (None if ratio is None else pytest.approx(ratio))
    _memory_ratio.cache_clear()
