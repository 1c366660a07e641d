"""Preparing takes some seconds more, so that a test can end a worker in the middle of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tasks.execution.workplace import Workplace
from tasks.runs.manifest import Manifest, Plan
from tasks.stages import prepare

SECONDS = float(os.environ.get("SLOW_PREPARE_SECONDS", "4"))
_plan = prepare._plan


def _plan_slowly(place: Workplace, manifest: Manifest, scratch: Path, stored: list[int]) -> Plan:
    time.sleep(SECONDS)
    return _plan(place, manifest, scratch, stored)


prepare._plan = _plan_slowly
