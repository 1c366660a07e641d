"""What a figure was measured on, and who else used the machine meanwhile."""

from __future__ import annotations

import argparse
import os
import platform
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

_LIBRARIES = ("ctranslate2", "faster-whisper", "onnxruntime", "numpy", "celery", "redis", "av")
_PROBE_PRODUCTS = 8


def describe_machine() -> dict[str, str]:
    """Processor, cores, system and versions, by name."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    }


def print_machine() -> None:
    """The same as a table."""
    for name, value in describe_machine().items():
        print(f"{name:<10} {value}")


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in MB of 10^6 bytes."""
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def tree_memory_mb(pid: int) -> float:
    """Memory of a process and its children, in MB; pages that several share count in parts."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def probe_seconds() -> float:
    """Seconds of a fixed computation on all cores, some tenths of one: how fast the machine is."""
    matrix = np.full((1024, 1024), 0.5, np.float32)
    started = time.perf_counter()
    for _ in range(_PROBE_PRODUCTS):
        matrix @ matrix
    return round(time.perf_counter() - started, 4)


class ProcessorTime:
    """Processor seconds since it was made: of one process tree, and of everybody else."""

    def __init__(self, pid: int, without: int | None = None) -> None:
        """`without` is a process under `pid` that is not part of what is measured."""
        self._pid, self._without = pid, without
        self._ours, self._all = self._used(), _busy_seconds()

    def stop(self) -> tuple[float, float]:
        """The tree's, and everybody else's."""
        ours = self._used() - self._ours
        return ours, max(0.0, _busy_seconds() - self._all - ours)

    def _used(self) -> float:
        return _tree_seconds(self._pid) - (_tree_seconds(self._without) if self._without else 0.0)


def _tree_seconds(pid: int) -> float:
    """Used by a process, its children, and those of its children that have ended."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - getattr(times, "guest", 0.0))


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def check_memory_settings(parser: argparse.ArgumentParser) -> None:
    """End with status 2 unless this process has the C library's settings of a worker."""
    from orchestrator.local.workers import KEEP_MEMORY  # a machine without the cluster has none

    if not KEEP_MEMORY.items() <= os.environ.items():  # they are read when a process starts
        told = " ".join(f"{name}={value}" for name, value in KEEP_MEMORY.items())
        parser.exit(2, f"Start it with the environment of a worker: {told}\n")
