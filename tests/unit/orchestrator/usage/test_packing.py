"""Records become packs, and a kill at any write leaves sums as they were."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from orchestrator.usage.accounts import Accounts
from orchestrator.usage.packing import REST_SECONDS, Packing
from orchestrator.usage.reading import UsageReader
from tasks.artifacts import ArtifactStore
from tasks.artifacts.opening import open_store
from tasks.runs import keys, usage_keys
from tasks.usage.record import RunUsage
from tests.unit.orchestrator.usage.records import DAY, a_record

ALL = ("1970-01-01", "2100-01-01")
TODAY = 100 * DAY  # that day begins
YESTERDAY = TODAY - DAY


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return open_store(tmp_path_factory.mktemp("store").as_uri())


def write(store: ArtifactStore, *records: RunUsage) -> None:
    for record in records:
        assert store.put(usage_keys.used(record.run), record.to_bytes())


def pack(store: ArtifactStore, now: float, pack_runs: int = 3) -> None:
    for _ in Packing(store, UsageReader(store), pack_runs=pack_runs, clock=lambda: now).pack():
        pass


def sums(store: ArtifactStore, tenant: str | None = None) -> Accounts:
    return UsageReader(store).accounts(*ALL, tenant)


def alone(store: ArtifactStore) -> int:
    return len(list(store.list(usage_keys.RUNS)))


def packs(store: ArtifactStore) -> list[str]:
    return list(store.list(usage_keys.DAYS))


def many(number: int, ended_at: float) -> list[RunUsage]:
    return [a_record(f"job-{index:03}", ended_at=ended_at) for index in range(number)]


def test_records_of_a_day_that_is_over_are_one_object_and_the_sums_stay(
    store: ArtifactStore,
) -> None:
    write(store, *many(2, YESTERDAY), a_record("x", tenant="bolt", ended_at=YESTERDAY))
    before = sums(store)
    pack(store, TODAY + REST_SECONDS)
    assert (alone(store), packs(store)) == (0, [usage_keys.pack("1970-04-10", 0)])
    assert sums(store) == before
    assert sums(store, "bolt").keys() == {("1970-04-10", "bolt")}


def test_of_a_day_that_is_not_over_only_full_packs_are_made(store: ArtifactStore) -> None:
    write(store, *many(8, TODAY))
    before = sums(store)
    pack(store, TODAY + REST_SECONDS - 1)
    assert packs(store) == []
    pack(store, TODAY + REST_SECONDS)
    assert (alone(store), len(packs(store))) == (2, 2)
    assert sums(store) == before


def test_a_record_that_comes_late_is_in_a_pack_of_its_own_day(store: ArtifactStore) -> None:
    write(store, a_record(ended_at=YESTERDAY))
    pack(store, TODAY + REST_SECONDS)
    write(store, a_record("late", ended_at=YESTERDAY))
    pack(store, TODAY + REST_SECONDS)
    assert packs(store) == [usage_keys.pack("1970-04-10", 0), usage_keys.pack("1970-04-10", 1)]
    assert sums(store)["1970-04-10", "acme"].runs == 2


@pytest.mark.parametrize("marker", [keys.open_run, usage_keys.uncounted])
def test_the_record_of_a_run_that_is_not_closed_stays_by_itself(
    store: ArtifactStore, marker: Callable[..., str]
) -> None:
    record = a_record(ended_at=YESTERDAY)
    write(store, record)
    store.put(marker(record.run), b"{}")
    pack(store, TODAY + DAY)
    assert (alone(store), packs(store)) == (1, [])


def test_a_record_that_is_written_again_is_counted_once_and_goes(store: ArtifactStore) -> None:
    write(store, a_record(ended_at=YESTERDAY))
    pack(store, TODAY + REST_SECONDS)
    before = sums(store)
    write(store, a_record(ended_at=YESTERDAY))  # by a process that stood still for a day
    assert sums(store) == before
    pack(store, TODAY + REST_SECONDS)
    assert (alone(store), len(packs(store)), sums(store)) == (0, 1, before)


def test_a_kill_at_any_write_counts_nothing_twice_and_loses_nothing(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, *many(7, YESTERDAY), *[a_record(f"now-{it}", ended_at=TODAY) for it in range(4)])
    before = sums(store)
    for allowed in count():
        writes = iter(range(allowed))

        def dies(real: Callable[..., object], writes: object = writes) -> Callable[..., object]:
            def call(*given: object) -> object:
                if next(writes, None) is None:  # type: ignore[call-overload]
                    raise Killed
                return real(*given)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(store, "put", dies(store.put))
            patch.setattr(store, "delete", dies(store.delete))
            try:
                pack(store, TODAY + REST_SECONDS)
                break
            except Killed:
                pass
        assert sums(store) == before
    assert sums(store) == before
    assert (alone(store), len(packs(store))) == (1, 4)


def test_of_two_that_pack_at_once_one_writes(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, *many(2, YESTERDAY))
    before, real = sums(store), store.put

    def other_is_first(key: str, data: bytes) -> bool:
        monkeypatch.setattr(store, "put", real)
        write(store, a_record("late", ended_at=YESTERDAY))
        pack(store, TODAY + REST_SECONDS)  # it packs the late one too
        return real(key, data)

    monkeypatch.setattr(store, "put", other_is_first)
    pack(store, TODAY + REST_SECONDS)
    assert sums(store)["1970-04-10", "acme"].runs == before["1970-04-10", "acme"].runs + 1
    assert (alone(store), len(packs(store))) == (0, 1)


def test_a_pack_that_cannot_be_read_stops_the_packing_of_its_day(store: ArtifactStore) -> None:
    store.put(usage_keys.pack("1970-04-10", 0), b"{}")
    write(store, a_record(ended_at=YESTERDAY))
    with pytest.raises(Exception, match="cannot be read"):
        pack(store, TODAY + REST_SECONDS)
    assert (alone(store), len(packs(store))) == (1, 1)


def test_a_stray_object_is_passed_over(store: ArtifactStore) -> None:
    write(store, a_record())
    store.put(f"{usage_keys.RUNS}acme/stray", b"{}")
    store.put(usage_keys.used(a_record("broken").run), b"no json")
    assert sums(store)["1970-04-11", "acme"].runs == 1


def test_a_record_that_is_packed_while_it_is_read_is_counted_once(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, *many(2, YESTERDAY))
    before, reader = sums(store), UsageReader(store)
    real = reader.packs

    def packed_meanwhile(*given: object) -> object:
        pack(store, TODAY + REST_SECONDS)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "packs", packed_meanwhile)
    assert reader.accounts(*ALL) == before
