"""API keys: shown once, kept as a hash.

A key is 256 random bits, so its plain SHA-256 cannot be reversed by trying keys; its record is an
artifact named by that hash. Each process caches a record for REMEMBERED_SECONDS; so long a
revoked key may still work. The hash of a revoked key is kept, so that a cluster does not answer
requests without a key after its last key was revoked.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE, NotAuthenticated, Principal, Scope
from tasks.artifacts import ArtifactMissing, ArtifactStore

FOLDER = "api-keys/"
REVOKED = "api-keys-revoked/"  # an empty artifact for each revoked key
PREFIX = "scr_"  # so that secret scanners find a leaked key
ID_LENGTH = 12  # characters of the hash
REMEMBERED_SECONDS = 10.0
REMEMBERED = 10_000  # records; a flood of wrong keys must not fill the memory


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The record of a key, without the key itself."""

    id: str
    name: str  # for people
    tenant: str
    scopes: frozenset[Scope]
    created_at: float  # seconds since 1970

    def to_json(self) -> dict[str, Any]:
        """Return the record as it is stored and listed."""
        return {
            "id": self.id,
            "name": self.name,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "created_at": self.created_at,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ApiKey:
        """Read what `to_json` gives; ignore fields and scopes of a later release."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        scopes = frozenset(Scope(name) for name in data["scopes"] if name in EVERY_SCOPE)
        return cls(**{**known, "scopes": scopes})


class ApiKeys:
    """The keys of a cluster."""

    def __init__(
        self,
        store: ArtifactStore,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, ApiKey | None]] = {}
        own = settings.api_key
        self._own = _digest(own.get_secret_value()) if own else None
        self._tenant = settings.tenant
        self._may_do_without = settings.allow_anonymous  # once every key is revoked
        self._any: tuple[float, bool] | None = None

    def create(self, tenant: str, name: str, scopes: frozenset[Scope]) -> tuple[str, ApiKey]:
        """Make a key; return it with its record. Raises InvalidOption without a scope."""
        if not scopes:
            raise InvalidOption("A key needs a scope.", hint=f"Use {', '.join(Scope)}.")
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = _digest(secret)
        key = ApiKey(digest[:ID_LENGTH], name, tenant, scopes, round(time.time(), 3))
        self._store.put(FOLDER + digest, json.dumps(key.to_json()).encode())
        self._any = None
        return secret, key

    def list(self) -> Iterator[ApiKey]:
        """Yield the record of every key but that of the settings."""
        for name in self._store.list(FOLDER):
            yield ApiKey.from_json(json.loads(self._store.get(name)))

    def revoke(self, key_id: str) -> bool:
        """Revoke the key with this id; return whether it existed."""
        found = list(self._store.list(FOLDER + key_id)) if len(key_id) == ID_LENGTH else []
        for name in found:
            self._store.put(REVOKED + name.removeprefix(FOLDER), b"")
            self._store.delete(name)
            self._known.pop(name.removeprefix(FOLDER), None)
        return bool(found)

    def exist(self) -> bool:
        """Tell whether requests need a key.

        They need one too after every key was revoked, unless the settings allow anonymous
        requests. May read the store: see `is_stale`.
        """
        if self._own is not None:
            return True
        asked = self._any
        if asked is None or self._clock() - asked[0] > REMEMBERED_SECONDS:
            asked = self._clock(), self._is_any_kept()
            self._any = asked
        return asked[1]

    @property
    def is_stale(self) -> bool:
        """Whether `exist` would read the store, which is slow."""
        return self._own is None and (
            self._any is None or self._clock() - self._any[0] > REMEMBERED_SECONDS
        )

    def remembers(self, secret: str) -> bool:
        """Tell whether `principal` would answer without reading the store."""
        digest = _digest(secret)
        known = self._known.get(digest)
        return digest == self._own or (
            known is not None and self._clock() - known[0] < REMEMBERED_SECONDS
        )

    def principal(self, secret: str) -> Principal:
        """Return the tenant and scopes of a key. Raises NotAuthenticated."""
        digest = _digest(secret)
        if self._own is not None and hmac.compare_digest(digest, self._own):
            return Principal(self._tenant, EVERY_SCOPE, "settings")
        key = self._find(digest)
        if key is None:
            raise NotAuthenticated()
        return Principal(key.tenant, key.scopes, key.id)

    def _is_any_kept(self) -> bool:
        folders = (FOLDER,) if self._may_do_without else (FOLDER, REVOKED)
        return any(next(iter(self._store.list(folder)), None) is not None for folder in folders)

    def _find(self, digest: str) -> ApiKey | None:
        known = self._known.get(digest)
        if known is not None and self._clock() - known[0] < REMEMBERED_SECONDS:
            return known[1]
        try:
            found = ApiKey.from_json(json.loads(self._store.get(FOLDER + digest)))
        except ArtifactMissing:
            found = None
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[digest] = self._clock(), found
        return found


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
