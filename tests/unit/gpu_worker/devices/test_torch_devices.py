"""A device's faults have their names."""

from __future__ import annotations

import pytest

from gpu_worker.devices.torch_devices import translating_torch_errors

pytestmark = pytest.mark.slow  # torch is imported


def test_memory_that_is_not_there_is_a_memory_error() -> None:
    def refused() -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(MemoryError):
        translating_torch_errors(refused)
    assert translating_torch_errors(lambda: "heard") == "heard"
