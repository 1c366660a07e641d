"""Every run that used anything has one record, however it ended and which process died."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import rerun, submit
from orchestrator.reconciler.accounting import Accounting
from orchestrator.reconciler.leading import Leading
from orchestrator.usage.counting import Counting
from tasks.execution.workplace import Workplace
from tasks.runs import keys, usage_keys
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.examples import TENANT
from tests.inputs.speech import recording, write_wav
from tests.unit.tasks.inline import run_job, run_task

OPTIONS = {"model": "fake", "chunk_seconds": 10.0, "language": "en", "aligner": "cross_attention"}


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "speech.wav", recording(29, seed=5)[0])


@pytest.fixture
def accounting(connection: Cluster) -> Accounting:
    """The duty, for which runs have always ended long ago."""
    leading = Leading(connection.redis, 100.0)
    assert leading.take()
    connection.jobs.restored()
    counting = Counting(connection.store, connection.records, lambda: 1e12)
    books = replace(connection.books, counting=counting)
    return Accounting(replace(connection, books=books), leading)


def begin(connection: Cluster, speech: Path) -> Run:
    source = upload(connection, speech, TENANT)
    job = submit(connection, source, job_options(OPTIONS), tenant=TENANT)
    return Run(TENANT, job.id, 1)


def done(connection: Cluster, redis: Redis, run: Run) -> Run:
    run_job(redis, connection.job(TENANT, run.job))
    assert connection.job(TENANT, run.job).status.final
    return run


def units(connection: Cluster, run: Run) -> dict[str, tuple[int, int]]:
    """How many units of each stage the run computed and found."""
    (record,) = (it for it in connection.books.reader.records() if it.run == run)
    found: dict[str, tuple[int, int]] = {}
    for (stage, _), figures in record.figures.items():
        computed, cached = found.get(stage, (0, 0))
        found[stage] = computed + figures.units, cached + figures.cached
    return found


def test_a_completed_run_has_its_record_and_no_marker(
    connection: Cluster, place: Workplace, redis: Redis, speech: Path
) -> None:
    run = done(connection, redis, begin(connection, speech))
    assert units(connection, run) == {"prepare": (1, 0), "transcribe": (4, 0)}
    assert list(connection.books.counting.uncounted()) == []


def test_what_a_second_submission_found_costs_no_device_time(
    connection: Cluster, place: Workplace, redis: Redis, speech: Path
) -> None:
    done(connection, redis, begin(connection, speech))
    again = done(connection, redis, begin(connection, speech))
    assert units(connection, again) == {"prepare": (1, 0), "transcribe": (0, 4)}
    other = rerun(connection, TENANT, again.job, {"batch_size": 2})
    found = units(connection, done(connection, redis, Run(TENANT, other.id, 1)))
    assert found == {"prepare": (0, 1), "transcribe": (0, 4)}


def test_a_canceled_run_is_counted_when_nothing_works_on_it(
    connection: Cluster, place: Workplace, accounting: Accounting, speech: Path
) -> None:
    run = begin(connection, speech)
    run_task(run.unit(Stage.PREPARE))
    run_task(run.unit(Stage.TRANSCRIBE, 1))
    cancel(connection, TENANT, run.job)
    assert list(connection.books.counting.uncounted()) == [run]
    waiting = connection.records.key(run.unit(Stage.TRANSCRIBE, 0))
    assert place.leases.take(waiting, "worker:1")
    accounting.count()
    assert list(connection.books.counting.uncounted()) == [run]
    place.leases.release(waiting, "worker:1")
    accounting.count()
    assert units(connection, run) == {"prepare": (1, 0), "transcribe": (1, 0)}
    assert list(connection.books.counting.uncounted()) == []


def test_a_canceled_run_is_not_counted_before_two_leases_have_passed(
    connection: Cluster, place: Workplace, speech: Path
) -> None:
    run = begin(connection, speech)
    cancel(connection, TENANT, run.job)
    assert not connection.books.counting.count_marked(run, 60.0, ())
    assert connection.books.counting.count_marked(run, 0.0, ())


def test_a_retry_counts_what_it_computes_and_finds_what_the_first_run_did(
    connection: Cluster, place: Workplace, redis: Redis, accounting: Accounting, speech: Path
) -> None:
    first = begin(connection, speech)
    run_task(first.unit(Stage.PREPARE))
    run_task(first.unit(Stage.TRANSCRIBE, 0))
    cancel(connection, TENANT, first.job)
    second = Run(TENANT, first.job, retry(connection, TENANT, first.job).run)
    redis.delete("scriptorium:canceled")
    done(connection, redis, second)
    accounting.count()  # what the second run has computed meanwhile is no cache hit of the first
    assert units(connection, first) == {"prepare": (1, 0), "transcribe": (1, 0)}
    assert units(connection, second) == {"prepare": (0, 1), "transcribe": (3, 1)}


def test_the_record_is_there_before_the_result(
    connection: Cluster, place: Workplace, redis: Redis, speech: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run, real = begin(connection, speech), place.store.put
    was_there: list[bool] = []

    def noting(key: str, data: bytes) -> bool:
        if key.endswith(keys.RESULT):
            was_there.append(place.store.size(usage_keys.used(run)) is not None)
        return real(key, data)

    monkeypatch.setattr(place.store, "put", noting)
    done(connection, redis, run)
    assert was_there == [True]


def test_a_run_that_an_earlier_release_has_ended_is_counted_too(
    connection: Cluster, place: Workplace, redis: Redis, accounting: Accounting, speech: Path
) -> None:
    run = begin(connection, speech)
    run_job(redis, connection.job(TENANT, run.job))
    connection.store.delete(usage_keys.used(run))  # it wrote none
    connection.settle(run)
    accounting.count()
    assert units(connection, run) == {"prepare": (1, 0), "transcribe": (4, 0)}


def test_a_wiped_redis_counts_no_run_again(
    connection: Cluster, place: Workplace, redis: Redis, accounting: Accounting, speech: Path
) -> None:
    run = done(connection, redis, begin(connection, speech))
    connection.store.delete(usage_keys.used(run))  # it is in a pack by now
    redis.flushall()
    assert connection.job(TENANT, run.job).status.final
    assert list(connection.books.counting.uncounted()) == []


def test_what_a_job_used_outlives_it(
    connection: Cluster, place: Workplace, redis: Redis, speech: Path
) -> None:
    ended = done(connection, redis, begin(connection, speech))
    before = connection.store.get(usage_keys.used(ended))
    delete_job(connection, TENANT, ended.job)
    assert connection.store.get(usage_keys.used(ended)) == before


def test_a_job_that_is_deleted_while_it_runs_has_used_what_is_there(
    connection: Cluster, place: Workplace, speech: Path
) -> None:
    run = begin(connection, speech)
    run_task(run.unit(Stage.PREPARE))
    run_task(run.unit(Stage.TRANSCRIBE, 2))
    delete_job(connection, TENANT, run.job)
    assert units(connection, run) == {"prepare": (1, 0), "transcribe": (1, 0)}


def test_a_canceled_job_that_is_deleted_leaves_its_record_and_no_marker(
    connection: Cluster, place: Workplace, accounting: Accounting, speech: Path
) -> None:
    run = begin(connection, speech)
    run_task(run.unit(Stage.PREPARE))
    cancel(connection, TENANT, run.job)
    delete_job(connection, TENANT, run.job)
    assert units(connection, run) == {"prepare": (1, 0)}
    assert list(connection.books.counting.uncounted()) == []
    connection.store.put(usage_keys.uncounted(run), b'{"ended_at": 1.0}')  # written late
    connection.store.delete(usage_keys.used(run))  # packed by now
    accounting.count()
    assert connection.books.reader.records() == []


def test_a_run_that_used_nothing_has_no_record(
    connection: Cluster, accounting: Accounting, speech: Path
) -> None:
    cancel(connection, TENANT, begin(connection, speech).job)
    accounting.count()
    assert connection.books.reader.records() == []


def test_a_broken_marker_and_a_stray_one_delay_no_other(
    connection: Cluster, place: Workplace, accounting: Accounting, speech: Path
) -> None:
    run = begin(connection, speech)
    run_task(run.unit(Stage.PREPARE))
    connection.store.put(f"{usage_keys.UNCOUNTED}stray", b"")
    connection.store.put(usage_keys.uncounted(Run("a", "broken", 1)), b"{}")
    cancel(connection, TENANT, run.job)
    accounting.count()
    assert units(connection, run) == {"prepare": (1, 0)}
