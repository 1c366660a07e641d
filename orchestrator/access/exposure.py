"""Which addresses the API may listen on: without keys only those of this machine."""

from __future__ import annotations

import ipaddress

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.keys import ApiKeys
from tasks.artifacts import ArtifactStore


def check_exposure(store: ArtifactStore, settings: Settings, host: str) -> bool:
    """Tell whether a server on `host` may answer requests without a key while no key exists.

    Raises InvalidOption if it may not and no key exists.
    """
    if settings.allow_anonymous or is_loopback(host):
        return True
    if not ApiKeys(store, settings).exist():
        raise InvalidOption(
            f"There are no API keys, so every client that reaches {host} could use the cluster.",
            hint="Make one with `scriptorium keys create`, listen on 127.0.0.1, or set "
            "SCRIPTORIUM_ALLOW_ANONYMOUS=true.",
        )
    return False


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which may resolve to any address
