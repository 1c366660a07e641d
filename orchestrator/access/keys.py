"""API keys: shown once, kept as a hash.

A key is 256 random bits, so its plain SHA-256 cannot be reversed by trying keys; its record is an
artifact named by that hash (`orchestrator/access/key_records.py`). Each process caches a record for
REMEMBERED_SECONDS; so long a revoked key may still work. Once a key was made, requests need one for
good: the process keeps that in mind, the mark of a revoked key says it in the store, and a file of
this machine says it even if what the store had was deleted.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from config.settings import NO_HOME, Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE, NotAuthenticated, Principal, Scope, TooManyKeys
from orchestrator.access.key_records import ID_LENGTH, ApiKey, KeyRecords
from orchestrator.access.lookups import Lookups
from orchestrator.access.signatures import Signer
from tasks.artifacts import ArtifactStore

PREFIX = "scr_"  # so that secret scanners find a leaked key
REMEMBERED_SECONDS = 10.0
REMEMBERED = 10_000  # records; a flood of wrong keys must not fill the memory
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")  # any other text is no key of ours
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")
Value = TypeVar("Value")


class ApiKeys:
    """The keys of a cluster."""

    def __init__(
        self,
        store: ArtifactStore,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signer = Signer(settings)
        self.records = KeyRecords(store, self.signer)
        self._clock = clock
        self._lookups = Lookups(self.records.digests, clock)
        self._known: dict[str, tuple[float, ApiKey]] = {}
        self._unknown: dict[str, float] = {}  # when it was looked up
        self._listed: tuple[float, tuple[ApiKey, ...]] | None = None
        own = settings.api_key
        self._own = digest_of(own.get_secret_value()) if own else None
        self._tenant = settings.tenant
        self._may_do_without = settings.allow_anonymous  # once every key is revoked
        self._most_of_tenant = settings.tenant_keys
        self._any: tuple[float, bool] | None = None
        self._mark = _mark_of(settings, store.url)

    def create(self, tenant: str, name: str, scopes: frozenset[Scope]) -> tuple[str, ApiKey]:
        """Make a key; return it with its record. Raises InvalidOption without a scope."""
        if not scopes:
            raise InvalidOption("A key needs a scope.", hint=f"Use {', '.join(Scope)}.")
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = digest_of(secret)
        key = ApiKey(digest[:ID_LENGTH], name, tenant, scopes, round(time.time(), 3))
        self.records.write(digest, key)
        self._note_that_one_exists()
        self._listed = None
        return secret, key

    def create_own(self, tenant: str, name: str, scopes: frozenset[Scope]) -> tuple[str, ApiKey]:
        """Do what `create` does for a tenant's administrator. Raises TooManyKeys too."""
        if len(self.of_tenant(tenant)) >= self._most_of_tenant:
            raise TooManyKeys()
        return self.create(tenant, name, scopes)

    def list(self) -> Iterator[ApiKey]:
        """Yield the record of every key that works, but not that of the settings."""
        return (key for key, is_signed in self.records.all() if is_signed)

    def of_tenant(self, tenant: str) -> tuple[ApiKey, ...]:
        """Return the keys of one tenant; all are read, once in REMEMBERED_SECONDS at most."""
        if self._listed is None or self._clock() - self._listed[0] > REMEMBERED_SECONDS:
            self._listed = self._clock(), tuple(self.list())
        return tuple(key for key in self._listed[1] if key.tenant == tenant)

    def revoke(self, key_id: str, tenant: str | None = None) -> bool:
        """Revoke the key with this id, of this tenant if one is given; return whether it existed.

        A record that is unsigned or unreadable is revoked too, unless a tenant is given.
        """
        if not _ID.fullmatch(key_id):
            return False
        revoked = False
        for digest in list(self.records.digests(key_id)):
            found = self.records.read(digest) if tenant is not None else None
            if tenant is not None and (found is None or found.tenant != tenant):
                continue
            self.records.revoke(digest)
            self._known.pop(digest, None)
            self._listed = None
            revoked = True
        return revoked

    def exist(self) -> bool:
        """Tell whether requests need a key.

        They need one too after every key was revoked, unless the settings allow anonymous
        requests. May read the store: see `is_stale`.
        """
        if self._own is not None:
            return True
        asked = self._any
        if asked is None or self._clock() - asked[0] > REMEMBERED_SECONDS:
            asked = self._any = self._clock(), self._is_any_kept()
        return asked[1]

    @property
    def is_stale(self) -> bool:
        """Whether `exist` would read the store, which is slow."""
        return self._own is None and (
            self._any is None or self._clock() - self._any[0] > REMEMBERED_SECONDS
        )

    def remembers(self, digest: str) -> bool:
        """Tell whether `principal` would answer for the key with this hash without the store."""
        known = self._known.get(digest)
        return digest == self._own or (
            known is not None and self._clock() - known[0] < REMEMBERED_SECONDS
        )

    def principal(self, secret: str) -> Principal:
        """Return the tenant and scopes of a key. Raises NotAuthenticated."""
        digest = digest_of(secret)
        if not self._is_own(digest) and not is_formed(secret):
            raise NotAuthenticated()
        return self.principal_of(digest)

    def principal_of(self, digest: str) -> Principal:
        """Return the tenant and scopes of the key with this hash. Raises NotAuthenticated."""
        if self._is_own(digest):
            return Principal(self._tenant, EVERY_SCOPE, "settings", "settings")
        key = self._find(digest)
        if key is None:
            raise NotAuthenticated()
        return Principal(key.tenant, key.scopes, key.id, key.name)

    def _is_own(self, digest: str) -> bool:
        return self._own is not None and hmac.compare_digest(digest, self._own)

    def _is_any_kept(self) -> bool:
        if self._may_do_without:
            return self.records.are_any(revoked=False)
        if (self._any is not None and self._any[1]) or (self._mark and self._mark.exists()):
            return True
        found = self.records.are_any(revoked=True)
        if found:
            self._note_that_one_exists()
        return found

    def _note_that_one_exists(self) -> None:
        self._any = self._clock(), True
        if self._mark is not None and self._mark.parent.parent.is_dir():
            with suppress(OSError):  # a home that cannot be written to: the store still tells
                self._mark.parent.mkdir(mode=0o700, exist_ok=True)
                self._mark.touch(mode=0o600)

    def _find(self, digest: str) -> ApiKey | None:
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            return known[1]
        if now - self._unknown.get(digest, float("-inf")) < REMEMBERED_SECONDS:
            return None
        # A key that was good is asked for again whatever flood of others there is.
        is_looked_up = known is not None or self._lookups.may_look_up(digest)
        found = self.records.read(digest) if is_looked_up else None
        self._known.pop(digest, None)
        if found is not None:
            _keep(self._known, digest, (now, found))
        elif is_looked_up:
            _keep(self._unknown, digest, now)
        return found


def digest_of(secret: str) -> str:
    """Return the hash that names a key's record."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_formed(secret: str) -> bool:
    """Tell whether the text has the form of a key that `create` makes."""
    return _FORM.fullmatch(secret) is not None


def _keep(cache: dict[str, Value], digest: str, value: Value) -> None:
    """Add to the cache; drop the oldest entry of a full one."""
    while len(cache) >= REMEMBERED:
        with suppress(KeyError, RuntimeError):  # another thread changed it meanwhile
            cache.pop(next(iter(cache)))
    cache[digest] = value


def _mark_of(settings: Settings, store_url: str) -> Path | None:
    """Return the file that says that this store has had keys, for a user who has a home."""
    if settings.home == NO_HOME or not store_url.startswith(("file:", "s3:")):
        return None
    return settings.home / "keys-were-made" / sha256(store_url.encode()).hexdigest()[:16]
