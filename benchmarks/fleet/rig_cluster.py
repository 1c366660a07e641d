"""The cluster of the rig, and what it does in a window of time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cluster.request_counts import calls, processor_seconds
from benchmarks.fleet.load_cluster import LoadCluster
from benchmarks.machine import ProcessorTime
from config.settings import Settings
from orchestrator.local.programs import Program, settings_environment
from orchestrator.local.workers import WorkerSpec, worker_program
from tasks.runs.stages import Pool

FORKED = 50  # workers of one parent
READY_SECONDS = 300.0


class Rig(LoadCluster):
    """A `LoadCluster` with forked workers and a reconciler that writes its passes down."""

    def __init__(self, directory: Path, workers: int, cpu_units: int) -> None:
        super().__init__(directory, workers, cpu_units)
        self.workers = workers
        self.passes = directory / "passes"

    def _programs(self, settings: Settings) -> list[Program]:
        kept = {"api0", "api1"}
        programs = [each for each in super()._programs(settings) if each.name in kept]
        cpu = WorkerSpec("cpu@rig", Pool.CPU, concurrency=self._cpu_units)
        programs.append(worker_program(cpu, settings, self._directory))
        gpu = WorkerSpec("gpu@rig", Pool.GPU)
        environment = worker_program(gpu, settings, self._directory).environment
        for first in range(0, self.workers, FORKED):
            count = min(FORKED, self.workers - first)
            programs.append(
                self._program(f"forks{first}", environment, "workers", str(first), str(count))
            )
        environment = settings_environment(settings, os.environ)
        return [*programs, self._program("reconciler", environment, "reconciler", str(self.passes))]

    def _program(self, name: str, environment: Any, *arguments: str) -> Program:
        command = (sys.executable, "-m", "benchmarks.fleet.rig_processes", *arguments)
        return Program(name, command, environment, self._directory / f"{name}.log")

    def until_ready(self) -> None:
        """Wait until every worker takes messages. Raises TimeoutError."""
        deadline = time.monotonic() + READY_SECONDS
        while (ready := self._ready()) < self.workers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{ready} of {self.workers} workers are ready")
            time.sleep(1.0)

    def _ready(self) -> int:
        logs = self._directory.glob("forks*.log")
        return sum(log.read_text(errors="replace").count(" ready.") for log in logs)

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes of the GPU workers."""
        parents = [pid for name, pid in self.processes().items() if name.startswith("forks")]
        return [child for pid in parents for child in psutil.Process(pid).children()]


class Window:
    """What Redis and the machine did since it was made."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._began = time.monotonic()
        self._calls, self._cpu = calls(rig.redis), processor_seconds(rig.redis)
        self._bytes = self._traffic()
        self._machine = ProcessorTime(os.getpid())

    def by_name(self) -> dict[str, float]:
        """Return the most frequent commands a second."""
        seconds = time.monotonic() - self._began
        most = (calls(self._rig.redis) - self._calls).most_common(20)
        return {name: round(count / seconds, 1) for name, count in most}

    def read(self) -> dict[str, float]:
        """Return rates a second; `units` are those that were recorded for the first time."""
        rig, seconds = self._rig, time.monotonic() - self._began
        ours, others = self._machine.stop()
        done = calls(rig.redis) - self._calls
        return {
            "seconds": seconds,
            "units": done["xadd"] / seconds,
            "commands": sum(done.values()) / seconds,
            "redis_cpu": (processor_seconds(rig.redis) - self._cpu) / seconds,
            "bytes": (self._traffic() - self._bytes) / seconds,
            "cores": ours / seconds,
            "cores_of_others": others / seconds,
        }

    def _traffic(self) -> int:
        stats: Any = self._rig.redis.info("stats")
        return int(stats["total_net_input_bytes"] + stats["total_net_output_bytes"])
