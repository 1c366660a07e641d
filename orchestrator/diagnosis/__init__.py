"""Checks of what a cluster needs, each with what to do if it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError
from orchestrator.diagnosis.check_result import CheckResult
from orchestrator.diagnosis.kernel import check_sandbox
from orchestrator.diagnosis.keys import check_keys
from orchestrator.diagnosis.models import check_engine, check_model, check_speakers
from orchestrator.diagnosis.services import check_broker, check_disk, check_redis, check_store


def diagnose(settings: Settings) -> list[CheckResult]:
    """Run every check and return its findings; a check that raises becomes an error finding."""
    checks: tuple[Callable[[Settings], CheckResult], ...] = (
        check_redis,
        check_broker,
        check_store,
        check_keys,
        check_disk,
        check_sandbox,
        check_model,
        check_engine,
        check_speakers,
    )
    return [_answer(check, settings) for check in checks]


def _answer(check: Callable[[Settings], CheckResult], settings: Settings) -> CheckResult:
    name = check.__name__.removeprefix("check_")
    try:
        return check(settings)
    except ScriptoriumError as error:
        return CheckResult(name, "error", error.message, error.advice)
    except (OSError, subprocess.SubprocessError) as error:
        return CheckResult(name, "error", f"{type(error).__name__}: {error}")
