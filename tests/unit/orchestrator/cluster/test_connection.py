"""What the control plane says of jobs, whatever Redis remembers."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption, RedisUnavailable
from orchestrator.cli.cluster import masked
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob, open_cluster
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_index import JobIndex
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.jobs.runs import retry
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.unit.orchestrator.reconciler.passes import restore

UNIT = a_unit(Stage.ASSEMBLE)


def publish(connection: Cluster) -> None:
    record = result_record(transcript={"language": "en", "text": "one"})
    connection.store.put(keys.of_run(UNIT.run, keys.RESULT), encode(record))


def test_a_job_that_redis_forgot_is_told_from_the_store(connection: Cluster) -> None:
    write_records(connection.store, a_manifest(), a_plan(10, 10))
    job = connection.job(TENANT, JOB)
    assert (job.status, job.chunks.total) == (Status.QUEUED, 2)
    assert connection.jobs.newest(TENANT, 9) == []
    assert connection.jobs.open_runs() == []


def test_an_ended_job_that_redis_forgot_has_still_ended(connection: Cluster) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    publish(connection)
    assert connection.job(TENANT, JOB).status is Status.COMPLETED


def test_a_retry_while_a_job_that_redis_forgot_is_read_is_not_undone(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.store.put(keys.pcm(TENANT, a_plan().audio), b"")
    put_result(connection, 1, canceled=True)
    add = JobIndex.add

    def retry_first(jobs: JobIndex, *args: Any, **named: Any) -> None:
        monkeypatch.undo()
        retry(connection, TENANT, JOB)
        add(jobs, *args, **named)

    monkeypatch.setattr(JobIndex, "add", retry_first)
    connection.job(TENANT, JOB)
    put_result(connection, 2, transcript={"language": "en"})
    connection.settle(a_run(2))
    job = connection.job(TENANT, JOB)
    assert (job.run, job.status) == (2, Status.COMPLETED)


@pytest.mark.parametrize("dies_in", ["add", "close"])
@pytest.mark.parametrize("by", ["request", "restoring"])
def test_a_process_that_dies_while_it_restores_an_ended_job_leaves_it_ended(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, dies_in: str, by: str
) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.store.put(keys.open_run(UNIT.run), b"")
    publish(connection)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(JobIndex, dies_in, die)
        with pytest.raises(SystemExit):
            connection.job(TENANT, JOB) if by == "request" else restore(connection)
    connection.redis.delete("scriptorium:reconciler")
    assert connection.job(TENANT, JOB).status is Status.COMPLETED
    restore(connection)
    assert [job for _, job in listed_jobs(connection, TENANT, 9)] == [JOB]
    assert connection.jobs.open_runs() == []


def test_a_job_that_ended_before_its_open_marker_went_is_in_the_index_before_it(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.store.put(keys.open_run(UNIT.run), b"")
    publish(connection)
    delete, seen = connection.store.delete, list[list[str]]()

    def look(key: str) -> None:
        if key == keys.open_run(UNIT.run):
            seen.append([job for _, job in connection.ended.newest(TENANT, 9)])
        delete(key)

    monkeypatch.setattr(connection.store, "delete", look)
    connection.settle(UNIT.run)
    assert seen == [[JOB]]


def test_a_run_is_closed_as_soon_as_somebody_asks_after_its_result(
    connection: Cluster,
) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.jobs.add(a_manifest(), a_run())
    connection.store.put(keys.open_run(UNIT.run), b"")
    publish(connection)
    connection.ledger.record(UNIT, Receipt("computed"))
    assert connection.job(TENANT, JOB).status is Status.COMPLETED
    assert connection.jobs.open_runs() == []
    assert connection.store.size(keys.open_run(UNIT.run)) is None


def test_a_receipt_without_its_result_closes_nothing(connection: Cluster) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.jobs.add(a_manifest(), a_run())
    connection.ledger.record(UNIT, Receipt("failed"))
    assert connection.job(TENANT, JOB).status is Status.PROCESSING
    assert connection.settle(UNIT.run) is None


@pytest.mark.parametrize("name", ["nobody", "../../x", "a/b", "", "\x00"])
def test_an_unknown_job_is_unknown(connection: Cluster, name: str) -> None:
    with pytest.raises(UnknownJob):
        connection.job(TENANT, name)


def test_a_job_without_a_result_is_not_finished(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    with pytest.raises(NotFinished):
        connection.result(TENANT, JOB)
    assert connection.timings(UNIT.run) == {}


def put_result(connection: Cluster, run: int, **result: Any) -> None:
    connection.store.put(keys.of_run(a_run(run), keys.RESULT), encode(result_record(**result)))


def test_the_result_is_that_of_the_newest_run(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    publish(connection)
    assert connection.result(TENANT, JOB)["transcript"]["text"] == "one"
    put_result(connection, 2, transcript={"language": "en", "text": "two"})
    connection.redis.flushall()
    run, result = connection.published(TENANT, JOB)
    assert (run, result["transcript"]["text"]) == (a_run(2), "two")


@pytest.mark.parametrize("ended", [{}, {"canceled": True}, {"error": {"code": "x"}}])
def test_a_transcript_stays_readable_while_a_retry_runs_and_if_it_has_none(
    connection: Cluster, ended: dict[str, Any]
) -> None:
    write_records(connection.store, a_manifest())
    publish(connection)
    connection.store.put(keys.open_run(a_run(2)), b"")
    if ended:
        put_result(connection, 2, **ended)
    assert connection.job(TENANT, JOB).run == 2
    run, result = connection.published(TENANT, JOB)
    assert (run, result["transcript"]["text"]) == (a_run(1), "one")


def test_a_job_without_any_transcript_gives_its_newest_result(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    put_result(connection, 1, canceled=True)
    put_result(connection, 2, error={"code": "x"})
    assert connection.result(TENANT, JOB)["error"] == {"code": "x"}


@pytest.mark.parametrize("ended", ["failed", "canceled"])
def test_an_end_that_its_own_process_did_not_publish_is_counted_once(
    connection: Cluster, ended: str
) -> None:
    def counted() -> float | None:
        return REGISTRY.get_sample_value("scriptorium_jobs_ended_total", {"status": ended})

    write_records(connection.store, a_manifest(), a_plan())
    if ended == "failed":
        connection.store.put(keys.failed(UNIT), encode({"code": "x", "message": "No."}))
    else:
        connection.store.put(keys.of_run(UNIT.run, "canceled"), b"")
    before = counted()
    assert before is not None
    for _ in range(2):
        assert connection.settle(UNIT.run) is not None
    assert counted() == before + 1


def test_a_redis_that_does_not_answer_is_named_without_its_password(
    settings: Settings,
) -> None:
    away = SecretStr("redis://:secret@127.0.0.1:1/0")
    with pytest.raises(RedisUnavailable) as caught:
        open_cluster(settings.model_copy(update={"redis_url": away}))
    assert "127.0.0.1:1" in caught.value.message and "secret" not in caught.value.message


def test_a_store_that_is_none_is_refused(settings: Settings, redis: object) -> None:
    with pytest.raises(InvalidOption):
        open_cluster(settings.model_copy(update={"store_url": "ftp://x"}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:p@ss@host:1/0", "redis://***@host:1/0"),
        ("rediss://user:pass@host", "rediss://***@host"),
        ("redis://host:1/0", "redis://host:1/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_a_listed_job_that_the_store_does_not_have_leaves_the_list(connection: Cluster) -> None:
    connection.jobs.add(a_manifest(), a_run())
    connection.redis.delete(f"scriptorium:job:{TENANT}/{JOB}")
    with pytest.raises(UnknownJob):
        connection.job(TENANT, JOB)
    assert connection.jobs.newest(TENANT, 9) == []


@pytest.mark.parametrize("result", [b"{", b"[]", b"{}"])
def test_a_result_that_cannot_be_read_is_an_error_with_a_code(
    connection: Cluster, result: bytes
) -> None:
    write_records(connection.store, a_manifest(), a_plan())
    connection.store.put(keys.of_run(UNIT.run, keys.RESULT), result)
    found = connection.job(TENANT, JOB)
    assert found.error is not None
    assert found.error["code"] == "unreadable_record"


@pytest.mark.parametrize("broken", [b"[]", b'"x"', b"{}", b'{"transcript": 5}'])
def test_a_result_that_is_none_is_told_as_a_broken_record(
    connection: Cluster, broken: bytes
) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.of_run(a_run(), keys.RESULT), broken)
    with pytest.raises(UnreadableRecord, match=r"result\.json cannot be read"):
        connection.published(a_run().tenant, a_run().job)
