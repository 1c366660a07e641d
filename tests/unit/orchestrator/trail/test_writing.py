"""Entries reach the store in batches, each once, and wait while it is away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gpu_worker.errors import StoreUnavailable
from orchestrator.trail import writing
from orchestrator.trail.entry import FOLDER, LONGEST, Entry
from orchestrator.trail.writing import Trail
from tasks.artifacts.memory import MemoryStore
from tasks.artifacts.opening import open_store
from tasks.telemetry.metrics import AUDIT_ENTRIES
from tests import ROOT
from tests.eventually import eventually

AT = 1_795_000_000.25  # 2026-11-18 11:06:40.25 UTC


def entry(number: int = 0, at: float = AT) -> Entry:
    return Entry("job.show", "anna", "key:0123", origin="10.0.0.1", job=f"job-{number}", at=at)


class Away(MemoryStore):
    """A store that is away when it is told."""

    is_away = False

    def put(self, key: str, data: bytes) -> bool:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().put(key, data)


@pytest.fixture
def store() -> Away:
    return Away("trail")


def lines(store: MemoryStore) -> list[str]:
    found = [store.get(key).decode() for key in store.list(FOLDER)]
    return [line for text in found for line in text.splitlines()]


def test_entries_are_written_together_after_a_while(store: Away) -> None:
    trail = Trail(store, flush_seconds=600.0)
    for number in range(3):
        trail.note(entry(number))
    assert list(store.list("")) == []  # a request costs no request of the store
    trail.flush()
    assert len(lines(store)) == 3
    (key,) = store.list("")
    assert key.startswith("audit/2026-11-18/110640.250-") and key.endswith("-0.jsonl")
    trail = Trail(store, flush_seconds=0.1)
    for number in range(3, 5):
        trail.note(entry(number))
        assert eventually(lambda: len(lines(store)) == number + 1)  # noqa: B023
    assert len(list(store.list(""))) == 3


def test_a_full_batch_does_not_wait(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 5)
    trail = Trail(store, flush_seconds=600.0)
    for number in range(5):
        trail.note(entry(number))
    assert eventually(lambda: len(lines(store)) == 5)


def test_what_must_not_be_lost_is_written_at_once(store: Away) -> None:
    Trail(store, flush_seconds=600.0).note_now(entry())
    assert len(lines(store)) == 1


def test_days_are_kept_apart(store: Away) -> None:
    trail = Trail(store, flush_seconds=600.0)
    for day in range(3):
        trail.note(entry(day, AT + day * 86400))
    trail.close()
    days = [key.split("/")[1] for key in store.list("")]
    assert days == ["2026-11-18", "2026-11-19", "2026-11-20"]


def test_while_the_store_is_away_entries_wait_and_the_oldest_go(
    store: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 10)
    store.is_away = True
    before = counted()
    trail = Trail(store, flush_seconds=600.0)
    trail.note_now(entry(0))
    for number in range(1, 15):
        trail.note(entry(number))
    with capture_logs() as logs:
        trail.flush()
    assert [line["entries"] for line in logs if line["event"] == "audit_entries_lost"] == [5]
    store.is_away = False
    trail.close()
    assert [f'"job-{number}"' in line for number, line in enumerate(lines(store), 5)] == [True] * 10
    after = counted()
    assert [after[it] - before[it] for it in ("delayed", "lost", "written")] == [15, 5, 10]


def counted() -> dict[str, float]:
    """How many entries the metrics have, by outcome."""
    found: dict[str, float] = dict.fromkeys(("delayed", "lost", "written"), 0.0)
    for sample in next(iter(AUDIT_ENTRIES.collect())).samples:
        if sample.name.endswith("_total"):
            found[sample.labels["outcome"]] = sample.value
    return found


def test_a_process_that_ends_writes_what_waits(tmp_path: Path) -> None:
    code = (
        "import sys; from tasks.artifacts.opening import open_store\n"
        "from orchestrator.trail.writing import Trail; from orchestrator.trail.entry import Entry\n"
        "Trail(open_store(sys.argv[1])).note(Entry('job.show', 'anna', 'key:1'))\n"
    )
    url = (tmp_path / "store").as_uri()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, url], check=True, cwd=ROOT, env=environment)
    assert len(list(open_store(url).list(FOLDER))) == 1


def test_each_entry_is_a_log_line_of_its_own_logger(store: Away) -> None:
    with capture_logs() as logs:
        Trail(store, flush_seconds=600.0).note(entry())
    assert dict(logs[0]) | {"at": 0} == {
        "event": "audit",
        "log_level": "info",
        "at": 0,
        "action": "job.show",
        "tenant": "anna",
        "by": "key:0123",
        "client": "10.0.0.1",
        "job": "job-0",
        "outcome": "done",
    }


def test_a_text_that_is_not_utf_8_hides_no_other_entry(store: Away) -> None:
    trail = Trail(store, flush_seconds=600.0)
    trail.note(Entry("job.show", "anna", "key:1", details={"forwarded_for": "\udcff"}))
    trail.note(entry())
    trail.close()
    assert len(lines(store)) == 2


def test_texts_of_clients_are_cut_and_cannot_begin_a_line(store: Away) -> None:
    long = "x\n" * LONGEST
    Trail(store).note_now(Entry("job.show", "anna", "key:1", details={"forwarded_for": long}))
    (line,) = lines(store)
    assert len(line) < LONGEST * 2
