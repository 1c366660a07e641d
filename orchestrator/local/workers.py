"""How a worker process is started: its command line and environment. Pure.

A GPU worker is one process with threads; its GPU is chosen here by the environment, before
Python imports anything in the child. CPU workers are prefork.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from config.settings import Settings
from gpu_worker.errors import InvalidOption, LibraryMissing
from orchestrator.local.programs import FRONT_DOOR_SECRETS, Program, settings_environment
from orchestrator.scaling.pools import WorkerPool, worker_pools
from tasks.fair_queue import slots_of
from tasks.runs.stages import Pool, Stage, queues, queues_of

# A model uses every core for minutes, and an API on the same machine needs some milliseconds at
# once, so workers have a lower priority beside one. Without an API this would only favor other
# programs: at this value they get ten times a worker's share of a core.
WORKER_NICENESS = 10
# Keep freed memory instead of giving it back to the kernel after every batch: CTranslate2 uses
# some 150 MB a window on the CPU, and the page faults cost 40 % of the time (docs/speed.md).
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1_000_000_000),  # bytes
    "MALLOC_TRIM_THRESHOLD_": str(2_000_000_000),  # bytes
}
# What a stage cannot do a single unit without; the image cpu-worker has neither.
_LIBRARIES = {
    Stage.ALIGN: "torch",
    Stage.EMBED_SPEAKERS: "pyannote",
    Stage.DIARIZE: "pyannote",
}


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker process."""

    name: str  # unique in the cluster; leases and logs carry it
    kind: Pool
    pool: str = ""  # its speeds count for this pool; empty: the pool named like its kind
    stages: frozenset[Stage] = frozenset()  # empty: all of its kind
    gpu: int | str | None = None  # index or UUID of the GPU it owns; None: the CPU
    threads: int = 1  # of a CPU model
    concurrency: int = 1
    plugins: tuple[str, ...] = ()  # modules to import, as celery's --include
    niceness: int = 0


def pool_named(name: str, settings: Settings) -> WorkerPool:
    """Return one of the settings' pools. Raises InvalidOption."""
    pools = worker_pools(settings.pools)
    if name not in pools:
        raise InvalidOption(
            f"There is no pool of workers named {name!r}.",
            hint=f"There are {', '.join(sorted(pools))}; SCRIPTORIUM_POOLS can name others.",
        )
    return pools[name]


def stages_named(names: str, pool: WorkerPool) -> frozenset[Stage]:
    """Parse a comma-separated list of the pool's stages. Raises InvalidOption."""
    known = {stage.value: stage for stage in Stage if stage in pool.work}
    chosen = [name.strip() for name in names.split(",")]
    wrong = [name for name in chosen if name not in known]
    if wrong:
        raise InvalidOption(
            f"{wrong[0]!r} is not a stage that the pool {pool.name} does.",
            hint=f"It does {', '.join(known)}.",
        )
    return frozenset(known[name] for name in chosen)


def check_libraries(spec: WorkerSpec) -> None:
    """Raise LibraryMissing if a stage of the worker needs a library that is not installed.

    Such a worker would take the units of others and fail them for good.
    """
    chosen = spec.stages or {stage for stage in Stage if stage.pool is spec.kind}
    missing = {
        stage: library
        for stage, library in _LIBRARIES.items()
        if stage in chosen and find_spec(library) is None
    }
    if missing:
        left = ",".join(stage.value for stage in Stage if stage in chosen - missing.keys())
        raise LibraryMissing(
            f"{' and '.join(sorted(set(missing.values())))} not installed: this worker cannot "
            f"{' or '.join(missing)}.",
            hint=f"{LibraryMissing.hint[:-1]}, or leave it to others: --stages {left}."
            if left
            else None,
        )


def worker_command(spec: WorkerSpec) -> list[str]:
    """Return the `celery worker` command of one worker."""
    pool = "prefork" if spec.kind is Pool.CPU else "threads"
    command = [
        sys.executable, "-m", "celery", "-A", "tasks.app", "--skip-checks", "worker",
        "--hostname", spec.name,
        "--pool", pool,
        "--concurrency", str(slots_of(spec.concurrency)),
        "--queues", ",".join(queues_of(spec.stages) if spec.stages else queues(spec.kind)),
        "--without-gossip", "--without-mingle",
        "--loglevel", "INFO",
    ]  # fmt: skip
    return command + (["--include", ",".join(spec.plugins)] if spec.plugins else [])


def worker_environment(
    spec: WorkerSpec, settings: Settings, base: Mapping[str, str], *, takes_over: bool = False
) -> dict[str, str]:
    """Return the child's environment: ours, with the settings it needs written out."""
    environment = settings_environment(
        settings, base, without=FRONT_DOOR_SECRETS, takes_over=takes_over
    )
    environment["SCRIPTORIUM_WORKER_POOL"] = spec.pool or spec.kind.value
    environment["SCRIPTORIUM_CPU_THREADS"] = str(spec.threads)
    environment["OMP_NUM_THREADS"] = str(spec.threads)
    if spec.kind is Pool.GPU:
        environment = KEEP_MEMORY | environment
    if spec.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = str(spec.gpu)
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as NVML; CUDA's own order is by speed
        if settings.device == "auto":  # else it would work on the CPU where the GPU is missing
            environment["SCRIPTORIUM_DEVICE"] = "cuda"
    if spec.kind is Pool.CPU:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        environment["SCRIPTORIUM_DEVICE"] = "cpu"  # diarize clusters on the CPU
        environment["REMAP_SIGTERM"] = "SIGQUIT"  # makes prefork give its task back at once
    return environment


def worker_program(spec: WorkerSpec, settings: Settings, logs: Path) -> Program:
    """Return the program of a worker on this machine, for the supervisor."""
    return Program(
        name=spec.name,
        command=tuple(worker_command(spec)),
        environment=worker_environment(spec, settings, os.environ),
        log=logs / f"{spec.name.partition('@')[0]}.log",
        niceness=spec.niceness,
    )
