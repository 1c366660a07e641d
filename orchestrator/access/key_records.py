"""The records of API keys in the store, with their signatures and the marks of revoked keys.

    api-keys/<sha256>                        the record, as JSON
    api-keys-signed/<sha256>.<secret's id>   its signature, if the settings have a keys_secret
    api-keys-revoked/<sha256>                empty: the key was revoked, whatever record there is

A signature is an artifact of its own, because artifacts are written once: an old record can be
signed as it stands, and two secrets can sign it while the secret is being changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from orchestrator.access import EVERY_SCOPE, Scope
from orchestrator.access.signatures import Signer
from tasks.artifacts import ArtifactMissing, ArtifactStore, exists

FOLDER = "api-keys/"
SIGNED = "api-keys-signed/"
REVOKED = "api-keys-revoked/"
ID_LENGTH = 12  # characters of the hash
LONGEST_RECORD = 16 * 1024  # bytes; a longer artifact is no record
_PURPOSE = "api-key"
log = structlog.get_logger(__name__)


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


class KeyRecords:
    """Reads and writes the records of a store; each method costs one to four requests."""

    def __init__(self, store: ArtifactStore, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    def write(self, digest: str, key: ApiKey) -> None:
        """Write the record of a new key; its signature first, so that it counts at once."""
        data = json.dumps(key.to_json()).encode()
        self._sign(digest, data)
        self._store.put(FOLDER + digest, data)

    def read(self, digest: str) -> ApiKey | None:
        """Return the key with this hash; None if it is unknown, revoked, unsigned or unreadable."""
        found = self._parsed(digest)
        if found is None or exists(self._store, REVOKED + digest):
            return None
        if not self._is_signed(digest, found[1]):
            log.warning("key_without_signature", key=found[0].id, hint="scriptorium keys sign")
            return None
        return found[0]

    def digests(self, prefix: str = "") -> Iterator[str]:
        """Yield the hash of every record that begins so, also of those that are no keys."""
        for name in self._store.list(FOLDER + prefix):
            yield name.removeprefix(FOLDER)

    def all(self) -> Iterator[tuple[ApiKey, bool]]:
        """Yield every key that is not revoked, and whether its record is signed."""
        for digest in self.digests():
            found = self._parsed(digest)
            if found is not None and not exists(self._store, REVOKED + digest):
                yield found[0], self._is_signed(digest, found[1])

    def sign(self, key_id: str) -> ApiKey | None:
        """Sign the record of the key with this id as it stands; None if there is no such key.

        The caller has a secret.
        """
        for digest in self.digests(key_id) if len(key_id) == ID_LENGTH else ():
            found = self._parsed(digest)
            if found is not None:
                self._store.delete(self._signature_key(digest))  # of another record's bytes
                self._sign(digest, found[1])
                return found[0]
        return None

    def revoke(self, digest: str) -> None:
        """Mark the key as revoked, then delete its record and its signatures."""
        self._store.put(REVOKED + digest, b"")
        self._store.delete(FOLDER + digest)
        for name in list(self._store.list(f"{SIGNED}{digest}")):
            self._store.delete(name)

    def are_any(self, *, revoked: bool) -> bool:
        """Tell whether there is any record, or with `revoked` also any mark of a revoked key."""
        folders = (FOLDER, REVOKED) if revoked else (FOLDER,)
        return any(next(iter(self._store.list(folder)), None) is not None for folder in folders)

    def are_any_signed(self) -> bool:
        """Tell whether the cluster's front door has a secret: then an unsigned key is useless."""
        return next(iter(self._store.list(SIGNED)), None) is not None

    def _parsed(self, digest: str) -> tuple[ApiKey, bytes] | None:
        """Return the record and its bytes; None if it is missing or is no record of this key."""
        try:
            data = self._store.get(FOLDER + digest, 0, LONGEST_RECORD + 1)
            key = ApiKey.from_json(json.loads(data)) if len(data) <= LONGEST_RECORD else None
        except ArtifactMissing:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            key = None
        if key is None or key.id != digest[:ID_LENGTH] or not _is_plain(key):
            log.warning("key_record_unreadable", record=digest[:ID_LENGTH])
            return None
        return key, data

    def _is_signed(self, digest: str, data: bytes) -> bool:
        if not self._signer.is_on:
            return True
        try:
            signature = self._store.get(self._signature_key(digest), 0, LONGEST_RECORD)
        except ArtifactMissing:
            return False
        return self._signer.accepts(signature, _PURPOSE, digest.encode(), data)

    def _sign(self, digest: str, data: bytes) -> None:
        if self._signer.is_on:
            signature = self._signer.sign(_PURPOSE, digest.encode(), data)
            self._store.put(self._signature_key(digest), signature.encode())

    def _signature_key(self, digest: str) -> str:
        return f"{SIGNED}{digest}.{self._signer.id}"


def _is_plain(key: ApiKey) -> bool:
    """Tell whether the fields that JSON gave are of the right types."""
    texts = isinstance(key.tenant, str) and isinstance(key.name, str)
    return texts and isinstance(key.created_at, int | float)
