"""How a worker process is started: its command line and environment. Pure.

GPU workers are one process a GPU with threads inside; the GPU is chosen here,
before Python imports anything in the child. CPU workers are prefork.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from orchestrator.local.programs import FRONT_DOOR_SECRETS, Program, settings_environment
from tasks.stages import Pool, queues

CPU_PROCESSES = 2  # prepares and fan-ins at once
# A model takes every core it is given, for minutes. The API beside it on the same machine needs
# a few milliseconds at once, so the workers give way; alone on the machine they lose nothing.
WORKER_NICENESS = 10
# Keep freed memory instead of handing it back to the kernel after every batch: CTranslate2 takes
# some 150 MB a window on the CPU, and the page faults cost 40 % of the time (docs/speed.md).
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1_000_000_000),  # bytes
    "MALLOC_TRIM_THRESHOLD_": str(2_000_000_000),  # bytes
}


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker process."""

    name: str  # unique in the cluster; leases and logs carry it
    pool: Pool
    gpu: int | None = None  # index of the GPU it owns; None: the CPU
    threads: int = 1  # of a CPU model
    concurrency: int = 1
    plugins: tuple[str, ...] = ()  # modules to import, as celery's --include


def worker_command(spec: WorkerSpec) -> list[str]:
    """The `celery worker` call of one worker."""
    pool = "prefork" if spec.pool is Pool.CPU else "threads"
    command = [
        sys.executable, "-m", "celery", "-A", "tasks.app", "--skip-checks", "worker",
        "--hostname", spec.name,
        "--pool", pool,
        "--concurrency", str(spec.concurrency),
        "--queues", ",".join(queues(spec.pool)),
        "--without-gossip", "--without-mingle",
        "--loglevel", "INFO",
    ]  # fmt: skip
    return command + (["--include", ",".join(spec.plugins)] if spec.plugins else [])


def worker_environment(
    spec: WorkerSpec, settings: Settings, base: Mapping[str, str]
) -> dict[str, str]:
    """The child's environment: ours, with the settings it needs written out."""
    environment = settings_environment(settings, base, without=FRONT_DOOR_SECRETS)
    environment["SCRIPTORIUM_CPU_THREADS"] = str(spec.threads)
    environment["OMP_NUM_THREADS"] = str(spec.threads)
    if spec.pool is Pool.GPU:
        environment = KEEP_MEMORY | environment
    if spec.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = str(spec.gpu)
    if spec.pool is Pool.CPU:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        environment["SCRIPTORIUM_DEVICE"] = "cpu"  # diarize clusters there, whatever GPUs there are
        environment["REMAP_SIGTERM"] = "SIGQUIT"  # prefork hands its task back at once
    return environment


def worker_program(spec: WorkerSpec, settings: Settings, logs: Path) -> Program:
    """A worker of this machine, to be kept alive."""
    return Program(
        name=spec.name,
        command=tuple(worker_command(spec)),
        environment=worker_environment(spec, settings, os.environ),
        log=logs / f"{spec.name.partition('@')[0]}.log",
        niceness=WORKER_NICENESS,
    )


def plan_workers(
    gpu_workers: int, gpus: int, cluster: str, threads: int = 0
) -> tuple[WorkerSpec, ...]:
    """One CPU worker, and GPU workers spread over the GPUs or over the cores.

    `threads` of a CPU model in each; 0: an equal share of the cores.
    """
    threads = threads or max(1, (os.cpu_count() or 1) // max(1, gpu_workers))
    return (
        WorkerSpec(f"cpu@{cluster}", Pool.CPU, concurrency=CPU_PROCESSES),
        *(
            WorkerSpec(
                f"gpu{index}@{cluster}",
                Pool.GPU,
                gpu=index % gpus if gpus else None,
                threads=threads,
            )
            for index in range(gpu_workers)
        ),
    )


def count_gpus() -> int:
    """NVIDIA GPUs on this machine, by NVML."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library or no driver: no GPU
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()
