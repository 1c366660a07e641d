"""Which of many artifacts exist, in few requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tasks.artifacts import ArtifactStore
from tasks.artifacts.local import LocalStore
from tasks.artifacts.opening import open_store
from tasks.artifacts.presence import LEAST_LISTED, LISTED_FOR_EACH, present


class Counting(LocalStore):
    """Counts what it is asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sizes = 0
        self.listed = 0

    def size(self, key: str) -> int | None:
        self.sizes += 1
        return super().size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        for key in super().list(prefix, after):
            self.listed += 1
            yield key


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    root = tmp_path / "store"
    root.mkdir()
    return Counting(root)


def keys_in(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number}-mark.json" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, LEAST_LISTED - 1, LEAST_LISTED, 50])
def test_those_that_are_there_are_found_few_or_many(count: int) -> None:
    store: ArtifactStore = open_store(f"memory://{uuid4().hex}")
    keys = [*keys_in("audio/transcribe", count), *keys_in("audio/align", 3), "alone"]
    written = set(keys[::2])
    for key in written:
        store.put(key, b"{}")
    assert present(store, keys) == written


def test_many_of_a_folder_are_listed_and_not_asked_for_one_by_one(counting: Counting) -> None:
    keys = keys_in("audio", 100)
    for key in keys[:40]:
        counting.put(key, b"")
    assert present(counting, keys) == set(keys[:40])
    assert counting.sizes == 0


def test_a_folder_full_of_others_is_not_listed_to_its_end(counting: Counting) -> None:
    keys = keys_in("audio", LEAST_LISTED)
    counting.put(keys[0], b"")
    counting.put(keys[-1], b"")
    for number in range(3 * LISTED_FOR_EACH * LEAST_LISTED):
        counting.put(f"audio/1{number:05}-other.json", b"")
    assert present(counting, keys) == {keys[0], keys[-1]}
    assert counting.listed < 2 * LISTED_FOR_EACH * LEAST_LISTED


def test_what_sorts_behind_the_last_key_is_not_listed(counting: Counting) -> None:
    keys = [f"audio/a{number:02}" for number in range(LEAST_LISTED)]
    for number in range(50):
        counting.put(f"audio/b{number:02}", b"")
    assert present(counting, keys) == set()
    assert counting.listed <= 1
