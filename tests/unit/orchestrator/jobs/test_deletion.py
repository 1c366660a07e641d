"""After a deletion there is nothing of the job, and everything of the others."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster, UnknownJob, open_cluster
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_index import JobIndex
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.jobs import deletion, runs, submission
from orchestrator.jobs.deletion import Tombstone, delete_job, erase
from orchestrator.jobs.holds import JobHeld, deletions_begun, hold, is_held
from orchestrator.jobs.ids import keyed_job
from orchestrator.jobs.runs import cancel, issue, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import rerun, submit
from orchestrator.jobs.tombstones import LINGER_LEASES, Tombstones
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler.housekeeping import Housekeeping
from orchestrator.results.corrections import Action, LineChange, correct
from orchestrator.results.speaker_names import name_speakers
from tasks.artifacts import ArtifactStore, exists
from tasks.artifacts import submitted as submitted_objects
from tasks.artifacts.opening import open_store
from tasks.execution import workplace as lifecycle
from tasks.fair_queue import clear
from tasks.runs import keys, usage_keys
from tasks.runs.manifest import Output, Source
from tasks.runs.option_values import KnownSpeaker
from tasks.runs.records import Records
from tasks.runs.stages import Stage, queues
from tasks.runs.submitted_options import job_options
from tasks.state import claims
from tasks.state.receipts import Receipt
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.inputs.bad_audio import wav
from tests.inputs.examples import TENANT, a_manifest, a_run, a_unit, write_records
from tests.inputs.speech import recording, write_wav
from tests.unit.orchestrator.reconciler.passes import restore
from tests.unit.tasks.inline import run_job, run_task

OPTIONS: dict[str, Any] = {"model": "fake", "language": "en", "aligner": "cross_attention"}
LATER = 3600.0


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tombstones(connection: Cluster) -> Tombstones:
    clock = Clock()
    clock.now += LATER
    return Tombstones(connection, clock)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(12, seed=1)[0])


def submitted(connection: Cluster, path: Path, **changes: Any) -> Job:
    named = {name: changes.pop(name) for name in ("idempotency_key", "output") if name in changes}
    source = changes.pop("source", None) or upload(connection, path, TENANT)
    return submit(connection, source, job_options(OPTIONS | changes), tenant=TENANT, **named)


def completed(connection: Cluster, path: Path, **changes: Any) -> Job:
    """A job that has run to its end, in this process."""
    job = submitted(connection, path, **changes)
    run_job(connection.redis, job)
    ended = connection.job(TENANT, job.id)
    assert ended.status is Status.COMPLETED
    return ended


def everything(connection: Cluster) -> list[str]:
    """All keys but those of what runs used, which outlive their jobs."""
    return [key for key in connection.store.list("") if not key.startswith(usage_keys.RUNS)]


def in_redis(connection: Cluster, job: str) -> list[str]:
    """Keys that are named by the job; not the flags and counters that expire by themselves."""
    found: Iterator[bytes] = connection.redis.scan_iter(count=1000)
    names = [name.decode() for name in found]
    listed = connection.redis.zscore(f"scriptorium:jobs:{TENANT}", job)
    expiring = ("scriptorium:canceled:", "scriptorium:attempts:")
    named = [name for name in names if job in name and not name.startswith(expiring)]
    return named if listed is None else [*named, "listing"]


def swept(tombstones: Tombstones) -> None:
    """As the reconciler does until the tombstones are gone."""
    for _ in range(4):
        tombstones.sweep()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": "split"},
        {"language": None},
        {"diarize": True, "shard_seconds": 8.0},
        {"idempotency_key": "call-1"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("place")
def test_nothing_is_left_of_a_job_that_has_ended(
    connection: Cluster, tombstones: Tombstones, talk: Path, changes: dict[str, Any]
) -> None:
    job = completed(connection, talk, **changes)
    delete_job(connection, TENANT, job.id)
    with pytest.raises(UnknownJob):
        connection.job(TENANT, job.id)
    rest = [keys.tombstone(TENANT, job.id)]
    notes = keys.job(TENANT, job.id, "uses/")
    assert [key for key in everything(connection) if not key.startswith(notes)] == rest
    swept(tombstones)
    assert everything(connection) == []
    assert in_redis(connection, job.id) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_two_channels_leave_nothing_either(
    connection: Cluster, tombstones: Tombstones, tmp_path: Path
) -> None:
    """The language of two channels lies under a name of its own."""
    left, right = recording(12, seed=1)[0], recording(12, seed=2)[0]
    length = min(len(left), len(right))
    both = np.stack([left[:length], right[:length]], axis=1)
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav((both * 32767).astype("<i2").tobytes(), channels=2))
    wanted = {"channels": "split", "language": None}
    job, same = (completed(connection, path, **wanted) for _ in range(2))
    plan = connection.records.plan(TENANT, job.id)
    assert len(set(plan.channels)) == 2
    heard = keys.language(TENANT, plan.heard, job_options(OPTIONS | wanted))
    assert exists(connection.store, heard)
    delete_job(connection, TENANT, job.id)
    swept(tombstones)
    assert exists(connection.store, heard)
    delete_job(connection, TENANT, same.id)
    swept(tombstones)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_nothing_is_left_in_a_bucket(
    settings: Settings,
    redis: Redis,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
    talk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_url = f"s3://{bucket}/scriptorium"
    values = {"store_url": store_url, "s3_endpoint_url": s3_endpoint}
    opened = open_cluster(settings.model_copy(update=values))
    try:
        place = lifecycle.workplace()
        store = open_store(store_url, endpoint_url=s3_endpoint)
        there = replace(place, store=store, records=Records(store))
        monkeypatch.setattr("tasks.execution.ending.workplace", lambda: there)
        monkeypatch.setattr("tasks.stages.fan_out.workplace", lambda: there, raising=False)
        monkeypatch.setattr("tasks.runs.canvas.workplace", lambda: there, raising=False)
        job = completed(opened, talk)
        clock = Clock()
        clock.now += LATER
        delete_job(opened, TENANT, job.id)
        swept(Tombstones(opened, clock))
    finally:
        opened.close()
    left = s3_shared_client.list_objects_v2(Bucket=bucket).get("Contents", ())
    assert all(usage_keys.RUNS in each["Key"] for each in left)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_another_job_of_the_same_audio_keeps_all_it_needs(
    connection: Cluster, tombstones: Tombstones, talk: Path
) -> None:
    first, second = completed(connection, talk), completed(connection, talk)
    before = connection.result(TENANT, second.id)
    delete_job(connection, TENANT, first.id)
    swept(tombstones)
    assert connection.result(TENANT, second.id) == before
    third = rerun(connection, TENANT, second.id, {"beam_size": 3})
    run_job(connection.redis, third)
    assert connection.job(TENANT, third.id).status is Status.COMPLETED
    delete_job(connection, TENANT, second.id)
    swept(tombstones)
    fourth = rerun(connection, TENANT, third.id, {"beam_size": 4})
    run_job(connection.redis, fourth)
    assert connection.job(TENANT, fourth.id).status is Status.COMPLETED
    for job in (third, fourth):
        delete_job(connection, TENANT, job.id)
    swept(tombstones)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_clips_names_letters_outputs_and_later_runs_go_too(
    connection: Cluster, tombstones: Tombstones, talk: Path, tmp_path: Path
) -> None:
    clip = upload(connection, write_wav(tmp_path / "clip.wav", recording(5, seed=9)[0]), TENANT)
    known = KnownSpeaker(name="Anna", clip=str(clip.artifact).rpartition("/")[2])
    job = completed(
        connection,
        talk,
        diarize=True,
        shard_seconds=8.0,
        known_speakers=(known.model_dump(),),
        output=Output(url="s3://calls/one"),
    )
    run = a_run(job=job.id)
    transcript = connection.result(TENANT, job.id)["transcript"]
    label = transcript["turns"][0]["speaker"]
    name_speakers(connection, TENANT, job.id, {label: "Anna"})
    line = LineChange(0, transcript["segments"][0]["start"], Action.CONFIRMED)
    correct(connection, TENANT, job.id, [line], run=1, seen=0, by="Anna", key=None)
    connection.store.put(keys.dead_letter(run.unit(Stage.ASSEMBLE)), b"{}")
    connection.store.put(keys.tries(run, "output") + "1", b"")
    assert exists(connection.store, keys.owed(run))
    delete_job(connection, TENANT, job.id)
    swept(tombstones)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_a_file_that_came_by_an_upload_url_goes_with_its_job(
    connection: Cluster, tombstones: Tombstones, talk: Path
) -> None:
    key = keys.upload(TENANT, "0123456789aupload")
    connection.store.put_file(key, talk)
    job = completed(connection, talk, source=Source(name="talk.wav", artifact=key))
    delete_job(connection, TENANT, job.id)
    swept(tombstones)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_a_job_of_an_object_leaves_nothing_of_what_was_decoded(
    connection: Cluster,
    tombstones: Tombstones,
    talk: Path,
    s3_shared_client: Any,
    s3_endpoint: str,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its checksum is in no record; `prepare` leaves a note of it."""
    monkeypatch.setattr(
        submitted_objects,
        "open_store",
        lambda url, **_: open_store(url, endpoint_url=s3_endpoint),
    )
    s3_shared_client.upload_file(str(talk), bucket, "talk.wav")
    source = Source(name="talk.wav", url=f"s3://{bucket}/talk.wav")
    job = completed(connection, talk, source=source)
    delete_job(connection, TENANT, job.id)
    swept(tombstones)
    assert everything(connection) == []


def test_a_queued_job_is_deleted_and_its_messages_do_nothing(
    connection: Cluster, tombstones: Tombstones, talk: Path, place: Any
) -> None:
    job = submitted(connection, talk)
    delete_job(connection, TENANT, job.id)
    assert connection.jobs.open_runs() == []
    clear(connection.redis, queues())
    receipt = run_task(a_unit(Stage.PREPARE, job=job.id))
    assert receipt["outcome"] == "canceled"
    swept(tombstones)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_what_a_task_in_flight_still_writes_is_swept(
    connection: Cluster, tombstones: Tombstones, talk: Path
) -> None:
    job = completed(connection, talk)
    audio = connection.records.plan(TENANT, job.id).audio
    delete_job(connection, TENANT, job.id)
    late = f"tenants/{TENANT}/audio/{audio}/transcribe/0-1-late.json"
    connection.leases.take(late, "worker:1")
    swept(tombstones)
    assert exists(connection.store, keys.tombstone(TENANT, job.id))  # a worker works on it
    run = a_run(job=job.id)
    connection.store.put(late, b"{}")
    connection.store.put(keys.uses(TENANT, audio) + job.id, b"")
    connection.store.put(keys.of_run(run, keys.RESULT), b"{}")
    connection.ledger.record(run.unit(Stage.ASSEMBLE), Receipt("computed"))
    connection.leases.release(late, "worker:1")
    swept(tombstones)
    assert everything(connection) == []
    assert in_redis(connection, job.id) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_a_tombstone_stands_for_a_while(connection: Cluster, talk: Path) -> None:
    job = completed(connection, talk)
    delete_job(connection, TENANT, job.id)
    clock = Clock()
    tombstones = Tombstones(connection, clock)
    swept(tombstones)
    assert exists(connection.store, keys.tombstone(TENANT, job.id))
    clock.now += connection.settings.lease_seconds * LINGER_LEASES + 1
    tombstones.sweep()
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_a_deletion_whose_process_died_is_ended_by_the_reconciler(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it died: at each artifact that it removes."""
    deletions = 0
    while True:
        job = completed(connection, talk)
        budget = deletions

        def dying(key: str, real: Any = connection.store.delete) -> None:
            nonlocal budget
            if budget == 0:
                raise KeyboardInterrupt
            budget -= 1
            real(key)

        with monkeypatch.context() as patch:
            patch.setattr(connection.store, "delete", dying)
            try:
                delete_job(connection, TENANT, job.id)
                is_whole = True
            except KeyboardInterrupt:
                is_whole = False
        with pytest.raises(UnknownJob):
            connection.job(TENANT, job.id)
        assert connection.jobs.newest(TENANT, 9) == []
        clock = Clock()
        clock.now += LATER
        with monkeypatch.context() as patch:
            patch.setattr(claims, "STALE_SECONDS", 0.0)  # as so much later
            swept(Tombstones(connection, clock))
        assert everything(connection) == []
        assert in_redis(connection, job.id) == []
        if is_whole:
            break
        deletions += 4
    assert deletions > 8


def test_the_reconciler_sweeps_and_brings_no_deleted_job_back(
    settings: Settings, redis: Redis
) -> None:
    quick = settings.model_copy(
        update={"lease_seconds": 0.1, "heartbeat_seconds": 0.05, "audit_seconds": 0.01}
    )
    opened = open_cluster(quick)
    try:
        write_records(opened.store, a_manifest())
        run = a_run()
        opened.store.put(keys.open_run(run), b"")
        stone = Tombstone(TENANT, run.job, 1000.0, 1, {})
        opened.store.put(stone.key, stone.to_bytes())  # and died
        restore(opened)
        reconciler = Reconciler(opened)
        assert reconciler.reconcile() == ()
        housekeeping = Housekeeping(opened, reconciler._leading)
        assert opened.jobs.open_runs() == []
        assert list(listed_jobs(opened, TENANT, 9)) == []

        def is_done() -> bool:
            housekeeping.end_deletions()
            return everything(opened) == []

        assert eventually(is_done)
    finally:
        opened.close()


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_a_deleted_job_is_unknown_also_where_it_is_remembered(
    settings: Settings, connection: Cluster, tombstones: Tombstones, talk: Path
) -> None:
    job = completed(connection, talk)
    other = open_cluster(settings)
    try:
        assert other.job(TENANT, job.id).status is Status.COMPLETED
        other.records.manifest(TENANT, job.id)
        delete_job(connection, TENANT, job.id)
        for sweeps in (0, 3):
            for _ in range(sweeps):
                tombstones.sweep()
            with pytest.raises(UnknownJob):
                other.job(TENANT, job.id)
            with pytest.raises(UnknownJob):
                delete_job(other, TENANT, job.id)
            with pytest.raises(UnknownJob):
                retry(other, TENANT, job.id)
        assert list(listed_jobs(other, TENANT, 9)) == []
    finally:
        other.close()


@pytest.mark.parametrize("job", ["nobody", "..", "a/b", "x\n"])
def test_there_is_nothing_to_delete_of_a_job_that_is_not_there(
    connection: Cluster, job: str
) -> None:
    with pytest.raises(UnknownJob):
        delete_job(connection, TENANT, job)
    assert everything(connection) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_another_tenant_s_job_is_not_there(connection: Cluster, talk: Path) -> None:
    job = completed(connection, talk)
    with pytest.raises(UnknownJob):
        delete_job(connection, "other", job.id)
    assert connection.job(TENANT, job.id).status is Status.COMPLETED


def test_a_job_that_only_redis_knows_is_deleted_too(connection: Cluster) -> None:
    connection.jobs.add(a_manifest(), a_run())
    delete_job(connection, TENANT, a_manifest().job)
    assert in_redis(connection, a_manifest().job) == []


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_same_idempotency_key_stands_for_a_new_job_after_a_deletion(
    connection: Cluster, tombstones: Tombstones, talk: Path
) -> None:
    job = completed(connection, talk, idempotency_key="call-1")
    assert submitted(connection, talk, idempotency_key="call-1").id == job.id
    delete_job(connection, TENANT, job.id)
    again = completed(connection, talk, idempotency_key="call-1", beam_size=3)
    assert again.id != job.id
    swept(tombstones)
    assert connection.job(TENANT, again.id).status is Status.COMPLETED
    assert submitted(connection, talk, idempotency_key="call-1", beam_size=3).id == again.id


def test_a_submission_that_meets_a_deletion_is_a_new_job(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read which job the key stands for; then that job was deleted."""
    job = submitted(connection, talk, idempotency_key="call-1")
    source = Source(name="talk.wav", url="s3://calls/talk.wav")
    real, asked = keyed_job, []

    def late(*arguments: Any) -> str:
        found = real(*arguments)
        asked.append(found)
        if len(asked) == 1:
            delete_job(connection, TENANT, job.id)
        return found

    monkeypatch.setattr(submission, "keyed_job", late)
    again = submitted(connection, talk, idempotency_key="call-1", source=source)
    assert asked == [job.id, again.id] and again.id != job.id
    assert not exists(connection.store, keys.manifest(TENANT, job.id))
    assert connection.job(TENANT, again.id).status is Status.QUEUED


def test_a_submission_that_meets_half_a_deletion_is_a_new_job_too(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk, idempotency_key="call-1")

    def die(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.jobs.deletion.erase", die)
        with pytest.raises(KeyboardInterrupt):
            delete_job(connection, TENANT, job.id)
    again = submitted(connection, talk, idempotency_key="call-1")
    assert again.id != job.id
    stone = Tombstone.read(connection.store, TENANT, job.id)
    erase(connection, stone)
    assert connection.job(TENANT, again.id).status is Status.QUEUED
    assert submitted(connection, talk, idempotency_key="call-1").id == again.id


def test_a_tombstone_is_read_as_it_was_written(connection: Cluster) -> None:
    stone = Tombstone(TENANT, "job-1", 1000.5, 3, {"ab": (), "heard": ("left", "right")})
    connection.store.put(stone.key, stone.to_bytes())
    assert Tombstone.read(connection.store, TENANT, "job-1") == stone
    assert "job" not in json.loads(stone.to_bytes())


def test_two_reconcilers_may_sweep_at_once(connection: Cluster, tombstones: Tombstones) -> None:
    stone = Tombstone(TENANT, "job-1", 1000.5, 1, {})
    connection.store.put(stone.key, stone.to_bytes())
    real = connection.store.list

    class Stale:
        """Lists a tombstone that is gone by the time it is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(connection.store, name)

        def list(self, prefix: str, after: str = "") -> Iterator[str]:
            found = list(real(prefix))
            if prefix == keys.DELETED:
                connection.store.delete(stone.key)
            return iter(found)

    Tombstones(replace(connection, store=Stale())).sweep()
    assert everything(connection) == []


def test_a_run_that_began_while_the_job_was_deleted_stops_too(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.jobs.add(a_manifest(), a_run())
    delete_job(connection, TENANT, a_manifest().job)
    for number in (1, 2):
        assert connection.cancellations.is_canceled(a_run(number))


def test_a_tombstone_says_no_more_than_it_must(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    delete_job(connection, TENANT, a_manifest().job)
    stone = connection.store.get(keys.tombstone(TENANT, a_manifest().job))
    assert set(json.loads(stone)) == {"deleted_at", "runs", "contents"}


def test_a_tombstone_of_which_nothing_is_left_costs_no_more_until_it_is_old(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        job = f"job-{number}"
        source = Source(name="talk.wav", artifact=keys.source(TENANT, f"{number:064x}"))
        write_records(connection.store, a_manifest(job, source))
        delete_job(connection, TENANT, job)
    clock = Clock()
    tombstones = Tombstones(connection, clock)
    asked: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(connection.store, name)

        def call(*arguments: Any) -> Any:
            asked.append(name)
            return real(*arguments)

        return call

    for name in ("get", "put", "list", "size", "delete"):
        monkeypatch.setattr(connection.store, name, counted(name))
    tombstones.sweep()
    assert Counter(asked) == {"get": 20, "list": 1 + 5 + 20}  # each tombstone, each folder
    asked.clear()
    tombstones.sweep()
    assert asked == ["list"]
    clock.now += connection.settings.lease_seconds * LINGER_LEASES + 1
    tombstones.sweep()
    monkeypatch.undo()
    assert everything(connection) == []


def test_an_outage_in_one_of_many_ends_the_sweep(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        stone = Tombstone(TENANT, f"job-{number}", 1000.0, 1, {})
        connection.store.put(stone.key, stone.to_bytes())

    def away(*_: object) -> bytes:
        raise StoreUnavailable("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(connection.store, "get", away)
        with pytest.raises(StoreUnavailable):
            Tombstones(connection).sweep()
    swept(Tombstones(connection))
    assert everything(connection) == []


@pytest.mark.usefixtures("place")
def test_a_job_that_comes_while_its_file_is_deleted_and_redis_is_wiped_keeps_the_file(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused for now, or has its file; it was accepted and lost its file."""
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.0)
    job = completed(connection, talk)
    accepted: list[Job] = []

    def delete(key: str, real: Any = connection.store.delete) -> None:
        if "/sources/" in key and not accepted:
            connection.redis.flushall()
            with suppress(StoreUnavailable):
                accepted.append(submitted(connection, talk))
        real(key)

    with monkeypatch.context() as patch:
        patch.setattr(connection.store, "delete", delete)
        delete_job(connection, TENANT, job.id)
    assert accepted == []
    later = submitted(connection, talk)
    source = connection.records.manifest(TENANT, later.id).source
    assert exists(connection.store, source.artifact or "")


def test_a_retry_that_meets_a_deletion_does_not_bring_the_job_back(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)

    def late(*given: Any, **named: Any) -> None:
        delete_job(connection, TENANT, job.id)  # after the retry has looked for a tombstone
        issue(*given, **named)

    monkeypatch.setattr(runs, "issue", late)
    with pytest.raises(UnknownJob):
        retry(connection, TENANT, job.id)
    with pytest.raises(UnknownJob):
        connection.job(TENANT, job.id)
    assert list(listed_jobs(connection, TENANT, 9)) == []
    assert in_redis(connection, job.id) == []


def test_a_retry_that_is_indexed_while_a_deletion_forgets_the_job_keeps_no_place(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    run_number, asked = JobIndex.run_number, Counter[str]()

    def late(*given: Any, **named: Any) -> None:
        def known(index: JobIndex, tenant: str, job: str) -> int:
            number = run_number(index, tenant, job)
            asked[job] += 1
            if asked[job] == 2:  # the first time it is asked for the tombstone
                issue(*given, **named)
            return number

        monkeypatch.setattr(JobIndex, "run_number", known)
        delete_job(connection, TENANT, job.id)

    monkeypatch.setattr(runs, "issue", late)
    with pytest.raises(UnknownJob):
        retry(connection, TENANT, job.id)
    assert asked[job.id] > 2
    assert connection.jobs.open_runs() == []
    assert in_redis(connection, job.id) == []


def test_a_retry_that_finds_a_job_deleted_just_now_says_that_there_is_none(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    manifest = Records.manifest

    def late(records: Records, tenant: str, name: str) -> Any:
        monkeypatch.undo()
        delete_job(connection, TENANT, job.id)
        return manifest(records, tenant, name)

    monkeypatch.setattr(Records, "manifest", late)
    with pytest.raises(UnknownJob):
        retry(connection, TENANT, job.id)


def test_a_look_that_meets_a_deletion_does_not_bring_the_job_back(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    connection.redis.flushall()  # so that the job is read from the store
    add = connection.jobs.add

    def late(*given: Any, **named: Any) -> None:
        delete_job(connection, TENANT, job.id)
        add(*given, **named)

    monkeypatch.setattr(connection.jobs, "add", late)
    for _ in range(2):
        with pytest.raises(UnknownJob):
            connection.job(TENANT, job.id)
    assert in_redis(connection, job.id) == []


def test_a_hold_at_the_same_time_stops_a_deletion_or_learns_of_it(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    heeded, told = Event(), list[list[str]]()

    def put() -> None:
        hold(connection.store, TENANT, job.id, "", 0.0)
        heeded.set()
        told.append(deletions_begun(connection.store, connection.leases, TENANT, job.id))

    def look(store: ArtifactStore, tenant: str, of: str) -> bool:
        found = is_held(store, tenant, of)
        other.start()  # the hold comes between the look and the tombstone
        assert heeded.wait(PATIENCE_SECONDS)
        time.sleep(0.1)
        return found

    other = Thread(target=put)
    monkeypatch.setattr(deletion, "is_held", look)
    delete_job(connection, TENANT, job.id)
    other.join(PATIENCE_SECONDS)
    assert told == [[job.id]]


def test_a_deletion_waits_for_another_one_so_that_a_hold_stops_both(
    connection: Cluster, talk: Path
) -> None:
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    refused = Event()

    def delete() -> None:
        with suppress(UnknownJob):
            try:
                delete_job(connection, TENANT, job.id)
            except JobHeld:
                refused.set()

    second = Thread(target=delete)
    with claims.marked(connection.store, connection.leases, TENANT, job.id):  # the first one
        second.start()
        time.sleep(0.3)
        hold(connection.store, TENANT, job.id, "", 0.0)  # and the first one sees it
    assert deletions_begun(connection.store, connection.leases, TENANT, job.id) == []
    second.join(PATIENCE_SECONDS)
    assert refused.is_set()


def test_a_deletion_that_died_with_its_mark_delays_the_next_one_a_little(
    connection: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    job = submitted(connection, talk)
    cancel(connection, TENANT, job.id)
    with claims.marked(connection.store, connection.leases, TENANT, job.id):
        delete_job(connection, TENANT, job.id)
    assert exists(connection.store, keys.tombstone(TENANT, job.id))


@pytest.mark.parametrize("name", ["no-job", "..", "a\x00b", "\udcff"])
def test_for_the_name_of_no_job_nothing_is_written(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written = list[str]()
    put = connection.store.put

    def noted(key: str, data: bytes) -> bool:
        written.append(key)
        return put(key, data)

    monkeypatch.setattr(connection.store, "put", noted)
    with pytest.raises(UnknownJob):
        delete_job(connection, TENANT, name)
    assert written == []


def test_a_hold_on_a_tenant_waits_for_deletions_of_jobs_whose_ids_do_not_say_their_time(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    store, leases = connection.store, connection.leases
    write_records(store, a_manifest("talk-1"))
    with claims.marked(store, leases, TENANT, "talk-1"), pytest.raises(StoreUnavailable):
        deletions_begun(store, leases, TENANT, None)
    with claims.marked(store, leases, TENANT, "0f" * 32):  # a content: it is no job's deletion
        assert deletions_begun(store, leases, TENANT, None) == []
