"""Plan the fleet of one machine: how many GPU workers it may have, and on which GPUs. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.local.placement import Placement, stages_by_gpu
from orchestrator.local.workers import WorkerSpec
from orchestrator.scaling.pools import WorkerPool
from tasks.runs.stages import Stage

POOL = "gpu"  # the pool of this machine's GPU workers


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The limits of this machine's fleet."""

    cluster: str  # unique; the workers' names end with it
    minimum: int
    maximum: int
    gpus: tuple[int, ...] = ()  # indexes; empty: models run on the CPU
    placement: Placement = Placement.SHARED
    threads: int = 1  # that a model uses on the CPU, in each worker
    plugins: tuple[str, ...] = ()
    niceness: int = 0


def plan_fleet(
    cluster: str,
    gpus: tuple[int, ...],
    settings: Settings,
    *,
    workers: int | None = None,
    min_workers: int | None = None,
    max_workers: int | None = None,
    placement: Placement = Placement.SHARED,
    plugins: tuple[str, ...] = (),
    niceness: int = 0,
) -> FleetPlan:
    """Plan a fixed number of workers, or one that follows the load. Raises InvalidOption.

    Without numbers: one worker for each GPU, or two on a machine without GPUs. Models on the CPU
    share the cores as if the fleet had its full size.
    """
    follows = min_workers is not None or max_workers is not None
    if workers is not None and follows:
        raise InvalidOption(
            "The number of workers is fixed or follows the load, not both.",
            hint="Give --workers alone, or --min-workers and --max-workers.",
        )
    fixed = workers or len(gpus) or min(2, os.cpu_count() or 1)
    least = (1 if min_workers is None else min_workers) if follows else fixed
    most = (max_workers or max(fixed, least)) if follows else fixed
    if least > most:
        raise InvalidOption(
            f"--min-workers is {least}, more than --max-workers {most}.",
            hint="Give a maximum that is at least the minimum.",
        )
    if placement is Placement.BY_STAGE:
        if workers is not None or follows or not gpus:
            raise InvalidOption(
                "By stage there is one worker on each GPU of this machine.",
                hint=f"Leave the numbers of workers out; {len(gpus)} GPUs can be used here.",
            )
        least = most = len(gpus)
    threads = settings.cpu_threads or max(1, (os.cpu_count() or 1) // most)
    return FleetPlan(cluster, least, most, gpus, placement, threads, plugins, niceness)


def with_limits(settings: Settings, plan: FleetPlan) -> Settings:
    """Return the settings with the fleet's limits for its pool, if its size follows the load."""
    if plan.minimum == plan.maximum:
        return settings
    limits = {"minimum": plan.minimum, "maximum": plan.maximum}
    pools = settings.pools | {POOL: settings.pools.get(POOL, {}) | limits}
    return settings.model_copy(update={"pools": pools})


def slots(
    plan: FleetPlan, pool: WorkerPool, usable: Sequence[int], work_seconds: Mapping[Stage, float]
) -> tuple[WorkerSpec, ...]:
    """Return every worker that may run, on the GPUs that can be used."""

    def spec(number: int, gpu: int | None, stages: frozenset[Stage]) -> WorkerSpec:
        return WorkerSpec(
            name=f"gpu{number}@{plan.cluster}",
            kind=pool.kind,
            pool=pool.name,
            stages=stages,
            gpu=gpu,
            threads=plan.threads,
            concurrency=pool.concurrency,
            plugins=plan.plugins,
            niceness=plan.niceness,
        )

    if plan.placement is Placement.BY_STAGE:
        placed = stages_by_gpu(usable, work_seconds)
        return tuple(
            spec(plan.gpus.index(gpu), gpu, stages & pool.work or pool.stages)
            for gpu, stages in placed.items()
        )
    if not plan.gpus:
        return tuple(spec(number, None, pool.stages) for number in range(plan.maximum))
    owners = [plan.gpus[number % len(plan.gpus)] for number in range(plan.maximum)]
    return tuple(
        spec(number, gpu, pool.stages) for number, gpu in enumerate(owners) if gpu in usable
    )
