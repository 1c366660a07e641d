"""Checks of what a process of a cluster needs, each with what to do if it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError
from orchestrator.diagnosis.check_result import CheckResult
from orchestrator.diagnosis.components import Component
from orchestrator.diagnosis.kernel import check_sandbox
from orchestrator.diagnosis.keys import check_keys
from orchestrator.diagnosis.models import check_engine, check_model, check_speakers
from orchestrator.diagnosis.services import check_broker, check_disk, check_redis, check_store

Check = Callable[[Settings], CheckResult]
_SERVICES: tuple[Check, ...] = (check_redis, check_broker, check_store)
_CHECKS: dict[Component, tuple[Check, ...]] = {
    # It takes uploads into its work directory, and names of models from submitters.
    Component.API: (*_SERVICES, check_keys, check_disk, check_model),
    Component.RECONCILER: _SERVICES,
    Component.TRIGGER: (*_SERVICES, check_model),
    Component.CPU_WORKER: (*_SERVICES, check_disk, check_sandbox),  # it decodes strangers' files
    Component.GPU_WORKER: (*_SERVICES, check_disk, check_model, check_engine, check_speakers),
    Component.ALL: (
        *_SERVICES,
        check_keys,
        check_disk,
        check_sandbox,
        check_model,
        check_engine,
        check_speakers,
    ),
}


def diagnose(settings: Settings, component: Component = Component.ALL) -> list[CheckResult]:
    """Run the component's checks, return their findings; one that raises is an error finding."""
    return [_answer(check, settings) for check in _CHECKS[component]]


def _answer(check: Check, settings: Settings) -> CheckResult:
    name = check.__name__.removeprefix("check_")
    try:
        return check(settings)
    except ScriptoriumError as error:
        return CheckResult(name, "error", error.message, error.advice)
    except (OSError, subprocess.SubprocessError) as error:
        return CheckResult(name, "error", f"{type(error).__name__}: {error}")
