"""Jobs are taken in once, whole or not at all; and what can be done to them after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import (
    AudioOutOfBounds,
    InvalidOption,
    RedisUnavailable,
    SourceMissing,
    UnknownModel,
)
from orchestrator.access import QuotaExceeded
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster, UnknownJob, open_cluster
from orchestrator.cluster.job import Job, Status, Summary
from orchestrator.jobs import acceptance, submission
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.ids import UnusableIdempotencyKey, job_id, keyed_job
from orchestrator.jobs.runs import IllegalTransition, cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import IdempotencyConflict, rerun, submit
from orchestrator.local.redis_server import RedisServer
from tasks.artifacts import encode, exists
from tasks.fair_queue import clear
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tests.inputs.examples import TENANT, a_plan, a_run, a_unit
from tests.queued_units import queued_units

OPTIONS = JobOptions(model="fake", language="en")
SOURCE = Source(name="talk.wav", url="s3://calls/talk.wav")
UPLOADED = Source(name="talk.wav", artifact=keys.source(TENANT, "ab"))


def taken(connection: Cluster, key: str | None = None, source: Source = SOURCE) -> Job:
    return submit(connection, source, OPTIONS, tenant=TENANT, idempotency_key=key)


def end(connection: Cluster, job: Job, **result: Any) -> None:
    """Publish the run's result, as `assemble` would."""
    unit = a_unit(Stage.ASSEMBLE, job=job.id, run=job.run)
    clear(connection.redis, ["assemble.interactive", "prepare.interactive"])
    record = result_record(**result)
    connection.store.put(keys.of_run(unit.run, keys.RESULT), encode(record))
    connection.settle(unit.run)


def everything(connection: Cluster) -> list[str]:
    return list(connection.store.list(""))


def test_an_accepted_job_is_in_the_store_in_redis_and_in_its_queue(
    connection: Cluster,
) -> None:
    job = taken(connection)
    assert job.status is Status.QUEUED
    assert connection.records.manifest(TENANT, job.id).options == OPTIONS
    assert connection.store.size(keys.open_run(a_run(job=job.id))) == 0
    assert connection.jobs.open_runs() == [a_run(job=job.id)]
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE, job=job.id)}


def test_two_submissions_without_a_key_are_two_jobs(connection: Cluster) -> None:
    assert taken(connection).id != taken(connection).id


def test_job_ids_sort_by_time_and_a_key_stands_for_one(connection: Cluster) -> None:
    assert len(job_id()) == len(job_id()) == 23 and job_id() != job_id()
    store = connection.store
    assert keyed_job(store, TENANT, "key") == keyed_job(store, TENANT, "key")
    assert keyed_job(store, TENANT, "key") != keyed_job(store, "other", "key")
    assert keyed_job(store, TENANT, "u") != keyed_job(store, TENANT, "ü" * 300)


def test_the_same_key_is_the_same_job(connection: Cluster) -> None:
    assert taken(connection, "key").id == taken(connection, "key").id
    assert len(connection.jobs.newest(TENANT, 10)) == 1


def test_the_same_key_from_twenty_threads_is_one_job(connection: Cluster) -> None:
    with ThreadPoolExecutor(20) as pool:
        jobs = list(pool.map(lambda _: taken(connection, "key"), range(20)))
    assert len({job.id for job in jobs}) == 1
    assert len(connection.jobs.open_runs()) == 1
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE, job=jobs[0].id)}


@pytest.mark.parametrize("options", [OPTIONS, OPTIONS.model_copy(update={"beam_size": 5})])
def test_the_same_key_for_something_else_is_a_conflict(
    connection: Cluster, options: JobOptions
) -> None:
    taken(connection, "key")
    other = Source(name="other.wav", url="s3://calls/other.wav")
    source = other if options == OPTIONS else SOURCE
    with pytest.raises(IdempotencyConflict):
        submit(connection, source, options, tenant=TENANT, idempotency_key="key")


def test_a_refused_submission_does_not_keep_its_key(connection: Cluster) -> None:
    with pytest.raises(SourceMissing):
        taken(connection, "key", UPLOADED)
    assert not list(connection.store.list(""))
    job = taken(connection, "key", SOURCE)
    assert taken(connection, "key", SOURCE).id == job.id
    assert list(connection.jobs.open_runs()) == [a_run(job=job.id)]


def test_a_submission_that_another_process_accepts_meanwhile_is_not_given_back(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = acceptance.accept
    accepted: list[Job] = []

    def late(cluster: Cluster, manifest: Manifest, *given: Any, **named: Any) -> Job:
        if not accepted:  # the first process is refused while the second one is quicker
            connection.store.put(keys.source(TENANT, "ab"), b"x")
            accepted.append(accept(cluster, manifest, *given, **named))
            raise SourceMissing("It was not there.")
        return accept(cluster, manifest, *given, **named)

    monkeypatch.setattr(submission, "accept", late)
    with pytest.raises(SourceMissing):
        taken(connection, "key", UPLOADED)
    assert taken(connection, "key", UPLOADED).id == accepted[0].id
    assert exists(connection.store, keys.manifest(TENANT, accepted[0].id))


def test_a_key_whose_job_has_ended_gives_that_job_and_starts_nothing(
    connection: Cluster,
) -> None:
    first = taken(connection, "key")
    end(connection, first, transcript={"language": "en"})
    again = taken(connection, "key")
    assert (again.id, again.status) == (first.id, Status.COMPLETED)
    assert queued_units(connection.redis) == set()


def test_a_job_that_a_copy_of_the_bucket_lacks_is_not_done_by_the_plan_it_has(
    connection: Cluster,
) -> None:
    """The plan names audio that the copy lacks too."""
    job = f"{1:011x}" + "a" * 12  # of a moment long ago
    store, plan = connection.store, keys.plan(TENANT, job)
    note = keys.job(TENANT, job, "uses/") + "ab" * 32
    store.put(keys.idempotency(TENANT, "key"), job.encode())
    store.put(plan, encode(a_plan().model_dump(mode="json")))
    store.put(note, b"")
    assert taken(connection, "key").id == job
    assert not exists(store, plan)
    assert exists(store, note)
    store.put(plan, encode(a_plan().model_dump(mode="json")))  # by `prepare`
    assert taken(connection, "key").id == job
    assert exists(store, plan)


@pytest.mark.parametrize("key", ["", " ", "\t\n", "\u00a0\u3000", "\udcff"])
def test_an_empty_idempotency_key_stands_for_no_job(connection: Cluster, key: str) -> None:
    with pytest.raises(UnusableIdempotencyKey) as refused:
        submit(connection, SOURCE, OPTIONS, tenant=TENANT, idempotency_key=key)
    assert "leave the key out" in refused.value.advice
    assert not list(connection.store.list(""))


def test_a_submission_that_died_halfway_goes_on_with_the_same_key(
    connection: Cluster,
) -> None:
    first = taken(connection, "key")
    connection.redis.flushall()
    connection.store.delete(keys.open_run(a_run(job=first.id)))
    assert taken(connection, "key") == first
    assert connection.jobs.open_runs() and queued_units(connection.redis)


@pytest.mark.parametrize("changes", [{"language": "de"}, {"task": "translate"}], ids=str)
def test_what_an_english_only_model_cannot_do_is_refused_before_anything_is_written(
    connection: Cluster, changes: dict[str, str]
) -> None:
    options = JobOptions.model_validate({"model": "tiny.en"} | changes)  # as the API reads a body
    with pytest.raises(InvalidOption, match="knows English only"):
        submit(connection, SOURCE, options, tenant=TENANT)
    assert everything(connection) == []


def test_numbers_of_speakers_that_contradict_each_other_are_refused(connection: Cluster) -> None:
    options = JobOptions.model_validate({"num_speakers": 5, "min_speakers": 7})
    with pytest.raises(InvalidOption, match="less than min_speakers"):
        submit(connection, SOURCE, options, tenant=TENANT)
    assert everything(connection) == []


def test_an_unknown_model_is_refused_before_anything_is_written(connection: Cluster) -> None:
    with pytest.raises(UnknownModel):
        submit(connection, SOURCE, JobOptions(model="no such model"), tenant=TENANT)
    assert everything(connection) == []


@pytest.fixture
def lonely(settings: Settings, tmp_path: Path) -> Iterator[Cluster]:
    """A connection whose Redis has gone away."""
    server = RedisServer(tmp_path)
    server.start()
    opened = open_cluster(settings.model_copy(update={"redis_url": SecretStr(server.url)}))
    server.stop()
    yield opened
    opened.close()


def test_without_redis_a_job_is_not_accepted_and_leaves_nothing(lonely: Cluster) -> None:
    with pytest.raises(RedisUnavailable, match="not accepted"):
        taken(lonely)
    assert everything(lonely) == []


def test_without_redis_a_job_with_a_key_can_be_asked_for_again(
    lonely: Cluster, connection: Cluster
) -> None:
    with pytest.raises(RedisUnavailable):
        taken(lonely, "key")
    job = taken(connection, "key")
    assert job.status is Status.QUEUED
    assert everything(connection) == everything(lonely)


def test_a_job_says_which_upload_it_needs(connection: Cluster) -> None:
    connection.store.put(UPLOADED.artifact or "", b"sound")
    job = taken(connection, source=UPLOADED)
    assert list(connection.store.list(keys.uses(TENANT, "ab"))) == [
        keys.uses(TENANT, "ab") + job.id
    ]


def test_a_job_whose_upload_is_gone_is_not_accepted_and_leaves_nothing(
    connection: Cluster,
) -> None:
    with pytest.raises(SourceMissing):
        taken(connection, source=UPLOADED)
    assert everything(connection) == []


def test_a_canceled_job_has_ended(connection: Cluster) -> None:
    job = taken(connection)
    ended = cancel(connection, TENANT, job.id)
    assert ended.status is Status.CANCELED
    assert connection.cancellations.is_canceled(a_run(job=job.id))
    assert connection.jobs.open_runs() == []
    assert connection.store.size(keys.open_run(a_run(job=job.id))) is None


def test_a_result_that_came_before_the_cancellation_stays(connection: Cluster) -> None:
    job = taken(connection)
    unit = a_unit(Stage.ASSEMBLE, job=job.id)
    record = encode(result_record(transcript={"language": "en"}))
    connection.store.put(keys.of_run(unit.run, keys.RESULT), record)
    assert cancel(connection, TENANT, job.id).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("result", "allowed"),
    [
        ({"transcript": {}}, False),
        ({"transcript": {}, "missing": [{"start": 0.0}]}, True),
        ({"error": {"code": "x", "message": "y", "hint": "z"}}, True),
        ({"canceled": True}, True),
    ],
    ids=["completed", "partial", "failed", "canceled"],
)
def test_which_jobs_can_be_retried(
    connection: Cluster, result: dict[str, object], allowed: bool
) -> None:
    job = taken(connection)
    end(connection, job, **result)
    with pytest.raises(IllegalTransition):
        cancel(connection, TENANT, job.id)
    if not allowed:
        with pytest.raises(IllegalTransition, match="completed"):
            retry(connection, TENANT, job.id)
        return
    again = retry(connection, TENANT, job.id)
    assert (again.run, again.status, again.error) == (2, Status.QUEUED, None)
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE, job=job.id, run=2)}


def test_a_running_job_cannot_be_retried(connection: Cluster) -> None:
    with pytest.raises(IllegalTransition, match="queued"):
        retry(connection, TENANT, taken(connection).id)


def test_a_retry_keeps_what_was_prepared_and_forgets_the_dead_letters(
    connection: Cluster,
) -> None:
    job = taken(connection)
    unit = a_unit(job=job.id)
    plan = encode(a_plan().model_dump(mode="json"))
    connection.store.put(keys.plan(TENANT, job.id), plan)
    connection.store.put(keys.pcm(TENANT, a_plan().audio), b"")
    connection.store.put(keys.dead_letter(unit), b"{}")
    end(connection, job, transcript={}, missing=[{"start": 0.0}])
    retry(connection, TENANT, job.id)
    assert connection.store.size(keys.dead_letter(unit)) is None
    assert queued_units(connection.redis) == {a_unit(Stage.FAN_OUT, job=job.id, run=2)}


@pytest.mark.parametrize("died_at", ["open/", "started.json", "dead-letters/"])
def test_a_retry_that_dies_at_any_write_is_never_forgotten_halfway(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, died_at: str
) -> None:
    """It did not begin, or its run is the newest, also after a wipe and after its end."""
    job = taken(connection)
    connection.store.put(keys.dead_letter(a_unit(job=job.id)), b"{}")
    end(connection, job, transcript={}, missing=[{"start": 0.0}])
    put, delete = connection.store.put, connection.store.delete

    def dying_put(key: str, data: bytes) -> bool:
        if died_at in key:
            raise KeyboardInterrupt
        return put(key, data)

    def dying_delete(key: str) -> None:
        if died_at in key:
            raise KeyboardInterrupt
        delete(key)

    with monkeypatch.context() as patch:
        patch.setattr(connection.store, "put", dying_put)
        patch.setattr(connection.store, "delete", dying_delete)
        with pytest.raises(KeyboardInterrupt):
            retry(connection, TENANT, job.id)
    begun = exists(connection.store, keys.open_run(a_run(2, job=job.id)))
    assert begun is (died_at != "open/")
    connection.redis.flushall()
    assert connection.job(TENANT, job.id).run == (2 if begun else 1)
    if begun:  # a worker ends it
        result = encode(result_record(transcript={}))
        connection.store.put(keys.of_run(a_run(2, job=job.id), keys.RESULT), result)
        connection.settle(a_run(2, job=job.id))
        connection.redis.flushall()
        ended = connection.job(TENANT, job.id)
        assert (ended.run, ended.status) == (2, Status.COMPLETED)


def test_a_retry_is_held_to_the_quota_and_takes_one_place(connection: Cluster) -> None:
    quota = replace(quota_of(connection.settings, TENANT), jobs_in_flight=2)
    jobs = [taken(connection) for _ in range(4)]
    for job in jobs:
        cancel(connection, TENANT, job.id)
    for job in jobs[:2]:
        assert retry(connection, TENANT, job.id, quota=quota).run == 2
    with pytest.raises(QuotaExceeded):
        retry(connection, TENANT, jobs[2].id, quota=quota)
    assert connection.job(TENANT, jobs[2].id).run == 1
    assert len(connection.jobs.open_runs()) == 2
    cancel(connection, TENANT, jobs[0].id)
    assert retry(connection, TENANT, jobs[3].id, quota=quota).run == 2


def test_a_rerun_keeps_the_clips_of_its_known_speakers(connection: Cluster) -> None:
    clip = keys.source(TENANT, "1" * 64)
    connection.store.put(clip, b"clip")
    known = [{"name": "Anna", "clip": keys.content(clip)}]
    options = JobOptions.model_validate(OPTIONS.model_dump() | {"known_speakers": known})
    first = finished(connection, options)
    again = rerun(connection, TENANT, first.id, {"max_speakers": 3})
    delete_job(connection, TENANT, first.id)
    assert exists(connection.store, clip)
    delete_job(connection, TENANT, again.id)
    assert not exists(connection.store, clip)


def finished(connection: Cluster, options: JobOptions = OPTIONS) -> Job:
    """A job that was prepared and has its result."""
    job = submit(connection, SOURCE, options, tenant=TENANT)
    plan = a_plan(10, 10)
    connection.store.put(keys.plan(TENANT, job.id), encode(plan.model_dump(mode="json")))
    connection.store.put(keys.pcm(TENANT, plan.audio), b"")
    end(connection, job, transcript={})
    return job


def test_a_rerun_is_a_new_job_with_other_options_and_the_old_plan(connection: Cluster) -> None:
    first = finished(connection)
    again = rerun(connection, TENANT, first.id, {"max_speakers": 3})
    assert again.id != first.id and again.status is Status.QUEUED
    assert queued_units(connection.redis) == {a_unit(Stage.FAN_OUT, job=again.id)}
    manifest = connection.records.manifest(TENANT, again.id)
    assert manifest.rerun_of == first.id and manifest.source == SOURCE
    assert manifest.options == OPTIONS.model_copy(update={"max_speakers": 3})
    assert connection.records.plan(TENANT, again.id) == a_plan(10, 10)
    assert connection.job(TENANT, first.id).status is Status.COMPLETED


@pytest.mark.parametrize(
    "changes", [{"chunk_seconds": 60}, {"channel": 1}, {"channels": "split"}, {"audio_track": 1}]
)
def test_a_rerun_that_cuts_the_audio_otherwise_is_prepared_anew(
    connection: Cluster, changes: dict[str, object]
) -> None:
    again = rerun(connection, TENANT, finished(connection).id, changes)
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE, job=again.id)}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"max_speakers": 0}, InvalidOption),
        ({"model": "no such"}, UnknownModel),
        ({"diarize_model": "no such"}, UnknownModel),
    ],
)
def test_a_rerun_that_cannot_work_writes_nothing(
    connection: Cluster, changes: dict[str, object], error: type[Exception]
) -> None:
    job = finished(connection)
    before = everything(connection)
    with pytest.raises(error):
        rerun(connection, TENANT, job.id, changes)
    assert everything(connection) == before


def test_a_rerun_whose_message_cannot_be_sent_leaves_nothing_that_would_run_later(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished(connection)
    before = everything(connection)

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr("orchestrator.jobs.runs.run_canvas", gone)
    with pytest.raises(RedisUnavailable, match="not accepted"):
        rerun(connection, TENANT, job.id, {"max_speakers": 3})
    assert everything(connection) == before


def test_a_job_that_has_not_ended_cannot_be_run_again(connection: Cluster) -> None:
    with pytest.raises(IllegalTransition, match="queued"):
        rerun(connection, TENANT, taken(connection).id, {})


def test_a_retried_job_survives_a_wipe_as_its_newest_run(connection: Cluster) -> None:
    job = taken(connection)
    end(connection, job, canceled=True)
    retry(connection, TENANT, job.id)
    connection.redis.flushall()
    assert connection.job(TENANT, job.id).run == 2


@pytest.mark.parametrize("action", [cancel, retry])
def test_an_unknown_job_is_said_to_be_unknown(
    connection: Cluster, action: Callable[[Cluster, str, str], object]
) -> None:
    for name in ("nobody", "../up", "a/b", ""):
        with pytest.raises(UnknownJob):
            action(connection, TENANT, name)


def test_a_file_is_uploaded_once_and_named_by_its_content(
    connection: Cluster, tmp_path: Path
) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"the same")
    first, second = (upload(connection, tmp_path / name, TENANT) for name in ("a.wav", "b.wav"))
    assert first.artifact == second.artifact
    assert (first.name, second.name) == ("a.wav", "b.wav")
    assert everything(connection) == [first.artifact]


def test_a_file_that_cannot_be_read_is_missing(connection: Cluster, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.wav", tmp_path):
        with pytest.raises(SourceMissing):
            upload(connection, path, TENANT)


def test_a_file_that_is_too_large_is_refused(
    settings: Settings, redis: object, tmp_path: Path
) -> None:
    (tmp_path / "big.wav").write_bytes(b"12345")
    small = open_cluster(settings.model_copy(update={"max_source_bytes": 4}))
    with pytest.raises(AudioOutOfBounds):
        upload(small, tmp_path / "big.wav", TENANT)
    small.close()


def test_a_summary_is_what_the_job_shows(connection: Cluster) -> None:
    job = taken(connection)
    end(connection, job, transcript={"language": "es", "warnings": [{"code": "x"}]})
    ended = connection.job(TENANT, job.id)
    assert (ended.language, ended.warnings) == ("es", ({"code": "x"},))
    found = connection.jobs.find(TENANT, job.id)
    assert found is not None
    assert found[2] == Summary(warnings=({"code": "x"},), language="es")


def test_nobody_listens_for_the_results_of_messages(connection: Cluster) -> None:
    before = set(connection.redis.pubsub_channels())  # other tests' own
    taken(connection)
    assert set(connection.redis.pubsub_channels()) == before


def test_a_key_gives_its_ended_job_though_the_tenant_has_no_place_left(
    connection: Cluster,
) -> None:
    quota = replace(quota_of(connection.settings, TENANT), jobs_in_flight=1)
    asked: dict[str, Any] = {"tenant": TENANT, "quota": quota}
    first = submit(connection, SOURCE, OPTIONS, idempotency_key="key", **asked)
    end(connection, first, transcript={"language": "en"})
    submit(connection, SOURCE, OPTIONS, **asked)
    again = submit(connection, SOURCE, OPTIONS, idempotency_key="key", **asked)
    assert (again.id, again.status) == (first.id, Status.COMPLETED)
    with pytest.raises(QuotaExceeded):
        submit(connection, SOURCE, OPTIONS, idempotency_key="another", **asked)
