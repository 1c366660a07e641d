"""The tenants that have anything in the store."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.artifacts import ArtifactStore
from tasks.runs import keys


def known_tenants(store: ArtifactStore, first: str = "") -> Iterator[str]:
    """Yield the tenants in lexical order, from `first` on; each costs one request.

    Raises StoreUnavailable or StoreRefused.
    """
    after = keys.TENANTS + first
    while True:
        key = next(iter(store.list(keys.TENANTS, after)), None)
        if key is None:
            return
        tenant, slash, _ = key.removeprefix(keys.TENANTS).partition("/")
        if slash:
            yield tenant
        after = keys.behind(f"{keys.TENANTS}{tenant}/") if slash else key
