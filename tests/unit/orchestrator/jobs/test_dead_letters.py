"""What was given up is listed for its tenant, also while jobs are retried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gpu_worker.errors import ChunkCrashed
from orchestrator.jobs.dead_letters import dead_letters
from tasks.artifacts import ArtifactStore, encode
from tasks.artifacts.opening import open_store
from tasks.runs import keys
from tests.inputs.examples import TENANT, a_unit

ERROR = ChunkCrashed().to_json()


def store_with_letters(directory: Path, *indices: int) -> ArtifactStore:
    store = open_store(directory.as_uri())
    for index in indices:
        store.put(keys.dead_letter(a_unit(index=index)), encode(ERROR))
    return store


def test_a_letter_names_its_unit_and_its_error(tmp_path: Path) -> None:
    store = store_with_letters(tmp_path, 3)
    place = {"job": "job-1", "run": 1, "stage": "transcribe", "chunk": 3}
    assert [letter for _, letter in dead_letters(store, TENANT)] == [place | ERROR]
    assert list(dead_letters(store, "other")) == []


def test_a_letter_that_a_retry_removes_after_it_was_listed_is_left_out(tmp_path: Path) -> None:
    store = store_with_letters(tmp_path, 3, 4)

    class Retried:
        """The store, where a retry comes between the list and its reading."""

        def list(self, prefix: str, after: str = "") -> Iterator[str]:
            listed = list(store.list(prefix))
            store.delete(keys.dead_letter(a_unit(index=3)))
            yield from listed

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

    letters = dead_letters(Retried(), TENANT)  # type: ignore[arg-type]
    assert [letter["chunk"] for _, letter in letters] == [4]
