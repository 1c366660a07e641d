"""A flood of made-up keys is no flood of requests to the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.settings import Settings
from orchestrator.access import EVERY_SCOPE, NotAuthenticated
from orchestrator.access.keys import PREFIX, REMEMBERED_SECONDS, ApiKeys
from orchestrator.access.lookups import LOOKUPS_PER_SECOND
from tasks.artifacts.memory import MemoryStore


class CountingStore(MemoryStore):
    """Counts the requests that read it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.requests += 1
        return super().get(key, start, length)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        self.requests += 1
        return super().list(prefix, after)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def flood(keys: ApiKeys, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        with pytest.raises(NotAuthenticated):
            keys.principal(f"{PREFIX}{number:043}")


def test_unknown_keys_cost_the_store_a_few_requests_a_second() -> None:
    store, clock = CountingStore(), Clock()
    keys = ApiKeys(store, Settings(), clock)
    flood(keys, 2000)
    assert store.requests <= LOOKUPS_PER_SECOND + 1
    clock.now += 1
    flood(keys, 2000, 2000)
    assert store.requests <= 2 * (LOOKUPS_PER_SECOND + 1)


@pytest.mark.parametrize("text", ["x", "sk-whatever", "scr_", PREFIX + "ä" * 43, PREFIX + "x" * 44])
def test_what_has_not_the_form_of_a_key_costs_the_store_nothing(text: str) -> None:
    store = CountingStore()
    with pytest.raises(NotAuthenticated):
        ApiKeys(store, Settings()).principal(text)
    assert store.requests == 0


def test_a_good_key_works_through_a_flood() -> None:
    store, clock = CountingStore(), Clock()
    keys, elsewhere = ApiKeys(store, Settings(), clock), ApiKeys(store, Settings(), clock)
    secret, _ = elsewhere.create("acme", "", EVERY_SCOPE)
    flood(keys, 100)
    assert keys.principal(secret).tenant == "acme"  # by the list
    later, _ = elsewhere.create("acme", "", EVERY_SCOPE)
    flood(keys, 20_000, 1000)  # more than are remembered
    clock.now += REMEMBERED_SECONDS
    flood(keys, 100, 100_000)
    assert keys.principal(secret).tenant == keys.principal(later).tenant == "acme"
