"""Which addresses the API may listen on: without keys only those of this machine."""

from __future__ import annotations

import ipaddress

import structlog

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.keys import ApiKeys
from tasks.artifacts import ArtifactStore

log = structlog.get_logger(__name__)


def check_exposure(store: ArtifactStore, settings: Settings, host: str) -> bool:
    """Tell whether a server on `host` may answer requests without a key while no key exists.

    Raises InvalidOption if it may not and no key exists.
    """
    keys = ApiKeys(store, settings)
    if not keys.signer.is_on and keys.records.are_any(revoked=False):
        log.warning(
            "keys_without_signatures",
            reason="What can write to the store can make API keys.",
            hint="Set SCRIPTORIUM_KEYS_SECRET (docs/security.md).",
        )
    if settings.allow_anonymous or is_loopback(host):
        return True
    if not keys.exist():
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
