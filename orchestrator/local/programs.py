"""A process that is kept alive: its command line, its environment and its log.

Settings travel in the environment, never on a command line: that, everybody on the machine
can read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings

# What only the front door needs: a worker decodes files and loads models from anywhere.
FRONT_DOOR_SECRETS = frozenset({"api_key", "webhook_key", "hooks_secret", "flower_password"})
# Two cannot listen on one port, and of two that touch one file the other may hang.
OF_ONE_PROCESS = frozenset({"metrics_port", "heartbeat_file"})
_VARIABLES = {"metrics_dir": "PROMETHEUS_MULTIPROC_DIR"}  # the only name that its library reads


@dataclass(frozen=True, slots=True)
class Program:
    """One process to be kept alive."""

    name: str  # unique; a worker's leases carry it
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # holds secrets
    log: Path
    niceness: int = 0  # above 0: it gives way to the others


def settings_environment(
    settings: Settings,
    base: Mapping[str, str],
    without: Set[str] = frozenset(),
    *,
    takes_over: bool = False,
) -> dict[str, str]:
    """An environment in which a child reads these settings, except the fields left out.

    A process that `takes_over` is not a child of this one but what it becomes.
    """
    without = without if takes_over else without | OF_ONE_PROCESS
    environment = dict(base)
    for name in without:
        environment.pop(_variable(name), None)
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None and name not in without:
            environment[_variable(name)] = _written(value)
    return environment


def _variable(field: str) -> str:
    return _VARIABLES.get(field, f"SCRIPTORIUM_{field.upper()}")


def _written(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, dict) else str(value)
