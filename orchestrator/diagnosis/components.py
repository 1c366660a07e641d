"""What a process is for, and so which checks are its own: a reconciler needs no model library."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.local.workers import pool_named
from tasks.runs.stages import Pool

ENGINE_LIBRARY = "faster_whisper"  # of the extra `worker`, which the control plane does not install


class Component(StrEnum):
    """A kind of process of a cluster; ALL is a machine that may run each of them."""

    API = "api"
    RECONCILER = "reconciler"
    TRIGGER = "trigger"
    CPU_WORKER = "cpu-worker"
    GPU_WORKER = "gpu-worker"
    ALL = "all"


def found_component(settings: Settings) -> tuple[Component, str]:
    """Return what this process is for, and in words for people how that was found.

    It is said by SCRIPTORIUM_COMPONENT, as the chart's pods do; or it is a worker of a pool; else
    it follows from what is installed, unless this user's own cluster is meant, which runs all.
    Raises InvalidOption for a name that is none.
    """
    if settings.component:
        return named_component(settings.component), "SCRIPTORIUM_COMPONENT says so"
    if settings.worker_pool:
        kind = pool_named(settings.worker_pool, settings).kind
        own = Component.GPU_WORKER if kind is Pool.GPU else Component.CPU_WORKER
        return own, f"a worker of the pool {settings.worker_pool}"
    if settings.redis_url is None:
        return Component.ALL, "no cluster is configured, so this machine is to run one"
    if find_spec(ENGINE_LIBRARY) is None:
        return Component.API, "no model library is installed, so this is no worker"
    return Component.ALL, "everything is installed"


def named_component(name: str) -> Component:
    """Return the component of that name; a name such as `triggers-sqs` is the chart's.

    Raises InvalidOption.
    """
    short = "trigger" if name.startswith("triggers-") else name
    if short not in set(Component):
        raise InvalidOption(
            f"There is no component {name!r}.", hint=f"There are {', '.join(Component)}."
        )
    return Component(short)
