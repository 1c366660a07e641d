"""Where the API may be reached: without keys on this machine only."""

from __future__ import annotations

import ipaddress

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.keys import ApiKeys
from tasks.artifacts import ArtifactStore


def check_exposure(store: ArtifactStore, settings: Settings, host: str) -> bool:
    """Whether a server on that address may serve those without a key, while there is none.

    Raises InvalidOption if it may not and there is none.
    """
    if settings.allow_anonymous or is_loopback(host):
        return True
    if not ApiKeys(store, settings).exist():
        raise InvalidOption(
            f"There are no API keys, so anybody who reaches {host} could use the cluster.",
            hint="Make one with `scriptorium keys create`, listen on 127.0.0.1, or set "
            "SCRIPTORIUM_ALLOW_ANONYMOUS=true.",
        )
    return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name; where it leads is not ours to say
