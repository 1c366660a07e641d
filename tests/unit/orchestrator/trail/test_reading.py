"""The audit trail is read by day, tenant, job and action."""

from __future__ import annotations

from datetime import date

import pytest

from orchestrator.trail.entry import Entry
from orchestrator.trail.reading import Wanted, entries
from orchestrator.trail.writing import Trail
from tasks.artifacts.memory import MemoryStore

AT = 1_795_000_000.0
FIRST = date(2026, 11, 18)
ALL = (
    Entry("job.submit", "anna", "key:1", "10.0.0.1", "one", "202", at=AT),
    Entry("key.create", "boris", "cli:root@host", details={"key": "2"}, at=AT + 1),
    Entry("job.rerun", "anna", "key:1", job="two", details={"of": "one"}, at=AT + 2),
    Entry("job.delete", "anna", "anonymous", job="two", at=AT + 86400),
)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore("trail")
    for entry in reversed(ALL):  # of several processes
        Trail(store).note_now(entry)
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ALL),
        (Wanted(tenant="anna"), (ALL[0], ALL[2], ALL[3])),
        (Wanted(job="one"), (ALL[0], ALL[2])),
        (Wanted(action="job.delete"), ALL[3:]),
        (Wanted(action="key"), (ALL[1],)),
    ],
)
def test_what_is_read_is_what_was_written(
    store: MemoryStore, wanted: Wanted, found: tuple[Entry, ...]
) -> None:
    assert tuple(entries(store, FIRST, date(2026, 11, 19), wanted)) == found


def test_only_the_days_that_are_asked_for_are_read(store: MemoryStore) -> None:
    assert tuple(entries(store, FIRST, FIRST, Wanted())) == ALL[:3]
    assert tuple(entries(store, date(2026, 11, 20), date(2026, 11, 30), Wanted())) == ()


def test_all_days_that_can_be_are_read_as_fast_as_those_with_entries(store: MemoryStore) -> None:
    assert list(entries(store, date.min, date.max, Wanted())) == list(ALL)


def test_a_line_that_cannot_be_read_hides_no_other(store: MemoryStore) -> None:
    store.put("audit/2026-11-18/broken.jsonl", b"\xff\n{}\n[]\n" + ALL[0].to_line().encode())
    assert len(tuple(entries(store, FIRST, FIRST, Wanted()))) == 4
