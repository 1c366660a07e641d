"""API keys: shown once, known by their hash, forgotten when revoked."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE, NotAuthenticated, Scope
from orchestrator.access.keys import REMEMBERED_SECONDS, ApiKeys
from orchestrator.access.quotas import quota_of
from tasks.artifacts.memory import MemoryStore

READ_ONLY = frozenset({Scope.READ})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def keys(store: MemoryStore, clock: Clock) -> ApiKeys:
    return ApiKeys(store, Settings(), clock)


def test_a_key_stands_for_its_tenant_and_scopes(keys: ApiKeys) -> None:
    secret, key = keys.create("acme", "laptop", READ_ONLY)
    found = keys.principal(secret)
    assert (found.tenant, found.scopes, found.key_id) == ("acme", READ_ONLY, key.id)
    assert found.may(Scope.READ) and not found.may(Scope.WRITE)


def test_the_key_itself_is_kept_nowhere(keys: ApiKeys, store: MemoryStore) -> None:
    secret, _ = keys.create("acme", "laptop", READ_ONLY)
    kept = b"".join(key.encode() + store.get(key) for key in store.list(""))
    assert secret.encode() not in kept and secret.removeprefix("scr_").encode() not in kept


@pytest.mark.parametrize("secret", ["", "scr_", "scr_wrong", "\ud800", "x" * 5000, "../keys"])
def test_any_other_text_is_no_key(keys: ApiKeys, secret: str) -> None:
    keys.create("acme", "laptop", READ_ONLY)
    with pytest.raises(NotAuthenticated):
        keys.principal(secret)


def test_a_revoked_key_ends_here_at_once_and_elsewhere_in_seconds(
    keys: ApiKeys, store: MemoryStore, clock: Clock
) -> None:
    elsewhere = ApiKeys(store, Settings(), clock)
    secret, key = keys.create("acme", "laptop", READ_ONLY)
    elsewhere.principal(secret)
    assert keys.revoke(key.id)
    with pytest.raises(NotAuthenticated):
        keys.principal(secret)
    elsewhere.principal(secret)
    clock.now += REMEMBERED_SECONDS
    with pytest.raises(NotAuthenticated):
        elsewhere.principal(secret)


@pytest.mark.parametrize("key_id", ["", "a", "0123456789ab"])
def test_revoking_takes_a_whole_id(keys: ApiKeys, key_id: str) -> None:
    for _ in range(20):
        keys.create("acme", "laptop", READ_ONLY)
    assert not keys.revoke(key_id)
    assert len(list(keys.list())) == 20


def test_without_any_key_nobody_needs_one(keys: ApiKeys) -> None:
    assert not keys.exist()
    keys.create("acme", "laptop", READ_ONLY)
    assert keys.exist()


def test_a_cluster_whose_keys_are_all_revoked_is_none_without_keys(
    keys: ApiKeys, store: MemoryStore, clock: Clock
) -> None:
    secret, key = keys.create("acme", "laptop", READ_ONLY)
    keys.revoke(key.id)
    clock.now += REMEMBERED_SECONDS + 1
    assert keys.exist() and not list(keys.list())
    kept = b"".join(name.encode() + store.get(name) for name in store.list(""))
    assert kept and secret.encode() not in kept
    assert not ApiKeys(store, Settings(allow_anonymous=True), clock).exist()


def test_the_key_of_the_settings_may_do_everything(store: MemoryStore) -> None:
    keys = ApiKeys(store, Settings(api_key=SecretStr("a-key-from-the-chart"), tenant="ops"))
    found = keys.principal("a-key-from-the-chart")
    assert (found.tenant, found.scopes) == ("ops", EVERY_SCOPE)
    assert keys.exist() and not list(keys.list())


def test_a_key_without_a_scope_is_refused(keys: ApiKeys) -> None:
    with pytest.raises(InvalidOption, match="scope"):
        keys.create("acme", "laptop", frozenset())


def test_wrong_keys_are_remembered_without_bound_on_the_memory(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.access.keys.REMEMBERED", 3)
    for number in range(10):
        with pytest.raises(NotAuthenticated):
            keys.principal(f"wrong-{number}")
    assert len(keys._known) <= 3


def test_a_tenant_without_numbers_of_its_own_has_the_cluster_s() -> None:
    values = Settings(jobs_in_flight=7, max_audio_seconds=60.0, max_source_bytes=10)
    quota = quota_of(values, "acme")
    assert (quota.jobs_in_flight, quota.audio_seconds, quota.source_bytes) == (7, 60.0, 10)


def test_a_tenant_s_own_numbers_never_pass_the_cluster_s() -> None:
    own: dict[str, dict[str, float]] = {
        "acme": {"jobs_in_flight": 50, "audio_seconds": 30, "source_bytes": 99}
    }
    values = Settings(jobs_in_flight=7, max_audio_seconds=60.0, max_source_bytes=10, quotas=own)
    quota = quota_of(values, "acme")
    assert (quota.jobs_in_flight, quota.audio_seconds, quota.source_bytes) == (50, 30.0, 10)


def test_quotas_come_as_json_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPTORIUM_QUOTAS", '{"acme": {"jobs_in_flight": 2}}')
    assert quota_of(Settings(), "acme").jobs_in_flight == 2
