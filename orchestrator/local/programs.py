"""A program that is kept alive: its command line, its environment and its log.

Settings go into the environment, never on a command line, which every user of the machine can
read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings
from tasks.telemetry.systemd import VARIABLE

# Needed by the API and the triggers alone: a worker decodes files and loads models from anywhere.
FRONT_DOOR_SECRETS = frozenset(
    {"api_key", "keys_secret", "webhook_key", "hooks_secret", "flower_password"}
)
# Two processes cannot listen on one port; two that touch one file can hide that one hangs.
OF_ONE_PROCESS = frozenset({"metrics_port", "heartbeat_file"})
_VARIABLES = {"metrics_dir": "PROMETHEUS_MULTIPROC_DIR"}  # the only name that its library reads


@dataclass(frozen=True, slots=True)
class Program:
    """One process to be kept alive."""

    name: str  # unique; a worker's leases carry it
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # repr=False: it holds secrets
    log: Path
    niceness: int = 0  # above 0: a lower priority than other programs


def settings_environment(
    settings: Settings,
    base: Mapping[str, str],
    without: Set[str] = frozenset(),
    *,
    takes_over: bool = False,
) -> dict[str, str]:
    """Return an environment from which a child reads these settings, except the fields left out.

    `takes_over`: this process is replaced by the program, so that it also gets the fields that only
    one process may have.
    """
    without = without if takes_over else without | OF_ONE_PROCESS
    environment = dict(base)
    for name in without:
        environment.pop(_variable(name), None)
    if not takes_over:  # systemd hears of this process, not of its children
        environment.pop(VARIABLE, None)
    if settings.webhook_key is not None and "webhook_key" in without:
        # A process without the key accepts webhooks all the same: another one signs them.
        settings = settings.model_copy(update={"sends_webhooks": True})
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
