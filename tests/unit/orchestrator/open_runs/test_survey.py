"""A survey of very many runs looks at a part of them, and reads each record once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.open_runs.survey import RunSurvey, Surveyor
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.records import Records, result_record
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records

JOBS = ("a", "b", "c", "d")


class Clock:
    """A time that passes by a grace with each look at it."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 5.0
        return self.now


@pytest.fixture
def begun(connection: Cluster) -> Cluster:
    """Four prepared jobs of two chunks; the control plane remembers one parsed record."""
    for job in JOBS:
        write_records(connection.store, a_manifest(job), a_plan(10, 10))
        connection.jobs.add(a_manifest(job), a_run(job=job))
        connection.store.put(keys.open_run(a_run(job=job)), b"")
        connection.ledger.record(a_unit(Stage.PREPARE, job=job), Receipt("computed"))
    return replace(connection, records=Records(connection.store, 1, 1_000_000))


def looked_at(found: list[RunSurvey]) -> list[str]:
    return [one.run.job for one in found if one.needs]


def test_each_run_is_reported_and_a_part_is_looked_at(begun: Cluster) -> None:
    surveyor = Surveyor(begun, Clock(), units=45)  # the first guess is 20 units for each
    first = list(surveyor.survey(begun.jobs.open_runs()))
    assert sorted(one.run.job for one in first) == list(JOBS)
    assert looked_at(first) == ["a", "b"]
    assert [one.work for one in first[2:]] == [None, None]
    for _ in range(8):
        last = list(surveyor.survey(begun.jobs.open_runs()))
    assert all(one.work is not None for one in last)  # also of those that it did not look at


def test_a_record_is_read_from_the_store_once(
    begun: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()
    get = begun.store.get

    def counted(key: str, start: int = 0, length: int | None = None) -> bytes:
        reads[key] += 1
        return get(key, start, length)

    monkeypatch.setattr(begun.store, "get", counted)
    surveyor = Surveyor(begun, Clock())
    for _ in range(3):
        found = list(surveyor.survey(begun.jobs.open_runs()))
    assert looked_at(found) == list(JOBS)
    assert set(reads.values()) == {1}
    assert len(reads) == 8  # manifests and plans


def test_records_that_cannot_be_read_in_time_are_read_by_the_next_pass(
    begun: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.open_runs.survey.READ_SECONDS", -1.0)
    surveyor = Surveyor(begun, Clock())
    assert looked_at(list(surveyor.survey(begun.jobs.open_runs()))) == []
    monkeypatch.setattr("orchestrator.open_runs.survey.READ_SECONDS", 10.0)
    assert looked_at(list(surveyor.survey(begun.jobs.open_runs()))) == list(JOBS)


def test_a_run_with_its_result_is_closed_also_while_others_are_looked_at(begun: Cluster) -> None:
    surveyor = Surveyor(begun, Clock(), units=20)
    assert looked_at(list(surveyor.survey(begun.jobs.open_runs()))) == ["a"]
    done = a_run(job="d")
    begun.store.put(keys.of_run(done, keys.RESULT), encode(result_record(canceled=True)))
    begun.ledger.record(done.unit(Stage.ASSEMBLE), Receipt("computed"))
    found = list(surveyor.survey(begun.jobs.open_runs()))
    assert sorted(one.run.job for one in found) == ["a", "b", "c"]
    assert done not in begun.jobs.open_runs()
    assert not exists(begun.store, keys.open_run(done))


def test_units_in_flight_are_told_as_of_the_last_look(begun: Cluster) -> None:
    begun.leases.take(begun.records.key(a_unit(index=1, job="a")), "worker:1")
    surveyor = Surveyor(begun, Clock(), units=20)
    first = next(surveyor.survey(begun.jobs.open_runs()))
    assert first.in_flight == ((Stage.TRANSCRIBE, 1),)
    assert [unit.index for unit in first.idle] == [0]
    assert {need.unit.run.tenant for need in first.needs} == {TENANT}
