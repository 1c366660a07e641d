"""Batches on a CPU run one at a time, and a device's faults have their names."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpu_worker.devices.torch_devices import run_batch

pytestmark = pytest.mark.slow  # torch is imported


def most_at_once(device: str) -> int:
    """Run batches in four threads, and return how many of them ran at the same time."""
    running, most, lock = 0, 0, threading.Lock()

    def batch() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run_batch(device, batch), range(8)))
    return most


def test_batches_on_a_cpu_run_one_at_a_time() -> None:
    assert most_at_once("cpu") == 1
    assert most_at_once("cuda") > 1


def test_a_batch_that_fails_lets_the_next_one_run() -> None:
    def refused() -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(MemoryError):
        run_batch("cpu", refused)
    assert run_batch("cpu", lambda: "heard") == "heard"
