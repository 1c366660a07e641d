"""An artifact that is no record is told by its key, with what to do."""

from __future__ import annotations

import pytest

from tasks.artifacts.memory import MemoryStore
from tasks.runs.json_artifacts import UnreadableRecord, json_object, read_record


@pytest.mark.parametrize(
    "key", ["tenants/a/jobs/b/manifest.json", "tenants/a/collections/c/collection.json"]
)
@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_told_of_a_broken_record_is_true_of_every_kind(key: str, data: bytes) -> None:
    store = MemoryStore()
    store.put(key, data)
    with pytest.raises(UnreadableRecord, match=f"^{key} cannot be read: ") as caught:
        read_record(store, key, json_object)
    told = caught.value.advice
    assert (
        "a newer release wrote it" in told and "(the job, the collection, the vocabulary)" in told
    )
