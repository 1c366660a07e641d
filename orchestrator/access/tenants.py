"""The tenants that this cluster knows."""

from __future__ import annotations

from config.settings import Settings
from orchestrator.access.keys import ApiKeys
from tasks.artifacts import ArtifactStore


def known_tenants(store: ArtifactStore, settings: Settings) -> frozenset[str]:
    """Return the settings' default tenant, those with quotas and those with API keys."""
    with_keys = {key.tenant for key in ApiKeys(store, settings).list()}
    return frozenset({settings.tenant, *settings.quotas} | with_keys)
