"""The records of keys in a store to which others can write."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestrator.access import EVERY_SCOPE, NotAuthenticated, Scope
from orchestrator.access.key_records import FOLDER, REVOKED, SIGNED
from orchestrator.access.keys import PREFIX, ApiKeys, digest_of
from tasks.artifacts.memory import MemoryStore

SECRET = Settings(keys_secret=SecretStr("s" * 32))
NO_SECRET = Settings()
FORGED = PREFIX + "f" * 43


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def record(secret: str, **changes: object) -> bytes:
    """What a worker that has been taken over would write."""
    found = {
        "id": digest_of(secret)[:12], "name": "", "tenant": "victim", "created_at": 1.0,
        "scopes": [scope.value for scope in EVERY_SCOPE],
    }  # fmt: skip
    return json.dumps(found | changes).encode()


def works(store: MemoryStore, secret: str, settings: Settings = SECRET) -> bool:
    try:
        ApiKeys(store, settings).principal(secret)
    except NotAuthenticated:
        return False
    return True


def test_a_writer_of_the_store_cannot_make_a_key(store: MemoryStore) -> None:
    store.put(FOLDER + digest_of(FORGED), record(FORGED))
    assert works(store, FORGED, NO_SECRET)  # what is trusted without a secret
    assert not works(store, FORGED)
    assert list(ApiKeys(store, SECRET).list()) == []


@pytest.mark.parametrize("changed", [{"tenant": "victim"}, {"scopes": ["admin"]}, {"id": "0" * 12}])
def test_a_writer_of_the_store_cannot_change_a_key(
    store: MemoryStore, changed: dict[str, object]
) -> None:
    secret, _ = ApiKeys(store, SECRET).create("acme", "", frozenset({Scope.READ}))
    assert works(store, secret)
    name = FOLDER + digest_of(secret)
    data = json.loads(store.get(name)) | changed
    store.delete(name)
    store.put(name, json.dumps(data).encode())
    assert not works(store, secret)


def test_the_signature_of_another_key_or_secret_is_none(store: MemoryStore) -> None:
    keys = ApiKeys(store, SECRET)
    secret, _ = keys.create("acme", "", EVERY_SCOPE)
    (signature,) = store.list(SIGNED + digest_of(secret))
    store.put(FOLDER + digest_of(FORGED), record(FORGED))
    store.put(f"{SIGNED}{digest_of(FORGED)}.{keys.signer.id}", store.get(signature))
    assert not works(store, FORGED)
    assert not works(store, secret, Settings(keys_secret=SecretStr("t" * 32)))


def test_a_key_of_an_earlier_release_works_once_it_is_signed(store: MemoryStore) -> None:
    secret, key = ApiKeys(store, NO_SECRET).create("acme", "old", EVERY_SCOPE)
    signing = ApiKeys(store, SECRET)
    assert [(found.id, is_signed) for found, is_signed in signing.records.all()] == [
        (key.id, False)
    ]
    assert not works(store, secret)
    assert signing.records.sign(key.id) == key
    assert works(store, secret)
    assert works(store, secret, NO_SECRET)  # of an old process, which knows no signatures


def test_the_secret_can_be_changed_while_keys_work(store: MemoryStore) -> None:
    new = Settings(keys_secret=SecretStr("new" * 8))
    secret, key = ApiKeys(store, SECRET).create("acme", "", EVERY_SCOPE)
    assert ApiKeys(store, new).records.sign(key.id)
    assert works(store, secret) and works(store, secret, new)


def test_a_revoked_key_stays_revoked_though_its_record_is_written_again(
    store: MemoryStore,
) -> None:
    keys = ApiKeys(store, SECRET)
    secret, key = keys.create("acme", "", EVERY_SCOPE)
    kept = {name: store.get(name) for name in (*store.list(FOLDER), *store.list(SIGNED))}
    assert keys.revoke(key.id)
    assert list(store.list(SIGNED)) == []
    for name, data in kept.items():
        store.put(name, data)
    assert not works(store, secret) and not works(store, secret, NO_SECRET)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"{}", b"[" * 100_000, record(FORGED, scopes=7),
     record(FORGED, tenant=["x"]), record(FORGED, created_at="x"), b" " * 20_000 + record(FORGED)],
)  # fmt: skip
def test_what_is_no_record_is_no_key_and_hides_no_other(store: MemoryStore, data: bytes) -> None:
    store.put(FOLDER + digest_of(FORGED), data)
    secret, key = ApiKeys(store, NO_SECRET).create("acme", "", EVERY_SCOPE)
    assert not works(store, FORGED, NO_SECRET) and works(store, secret, NO_SECRET)
    assert [found.id for found in ApiKeys(store, NO_SECRET).list()] == [key.id]


def test_a_mark_of_a_key_that_never_was_locks_out_that_one_alone(store: MemoryStore) -> None:
    secret, _ = ApiKeys(store, SECRET).create("acme", "", EVERY_SCOPE)
    store.put(REVOKED + digest_of(FORGED), b"")
    assert works(store, secret)
