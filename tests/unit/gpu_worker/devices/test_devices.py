"""What there is to compute on."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from gpu_worker import devices
from gpu_worker.devices import gpu_names, main
from gpu_worker.devices.nvml import GpuReading


def test_the_gpus_are_printed_with_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    found = json.loads(capsys.readouterr().out)
    assert found["gpus"] == gpu_names()
    assert found["faster_whisper"]


@pytest.mark.parametrize(
    ("usable", "read", "names"),
    [
        (0, (GpuReading(0, "NVIDIA H200"),), []),
        (1, (GpuReading(0, "NVIDIA H200"),), ["NVIDIA H200"]),
        (2, (), ["unknown", "unknown"]),
    ],
    ids=["not usable", "usable", "without NVML"],
)
def test_only_gpus_that_can_be_used_are_named(
    usable: int, read: tuple[GpuReading, ...], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SimpleNamespace(get_cuda_device_count=lambda: usable)
    monkeypatch.setitem(sys.modules, "ctranslate2", engine)
    monkeypatch.setattr(devices, "read_gpus", lambda: read)
    assert gpu_names() == names
