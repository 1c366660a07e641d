"""Preparing takes some seconds more, so that a test can end a worker in the middle of it."""

from __future__ import annotations

import time
from pathlib import Path

from tasks import prepare
from tasks.lifecycle import Workplace
from tasks.manifest import Manifest, Plan

SECONDS = 4.0
_plan = prepare._plan


def _plan_slowly(place: Workplace, manifest: Manifest, scratch: Path) -> Plan:
    time.sleep(SECONDS)
    return _plan(place, manifest, scratch)


prepare._plan = _plan_slowly
