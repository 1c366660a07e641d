"""What is due goes and what is needed stays: by kind, of shared audio, under load, with kills."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError, SourceMissing, StoreUnavailable
from orchestrator.cluster.connection import Cluster, UnknownJob, open_cluster
from orchestrator.cluster.job import Job, Status
from orchestrator.cluster.job_folder import JobFolder, job_folder
from orchestrator.jobs import retention
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import JobHeld, end_hold, hold, holds
from orchestrator.jobs.retention import DAY_SECONDS, Retention, ages
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.submission import rerun
from orchestrator.reconciler import retaining
from orchestrator.reconciler.leading import Leading
from orchestrator.reconciler.retaining import Retaining
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.state import claims
from tests.inputs.examples import TENANT
from tests.inputs.speech import recording, write_wav
from tests.unit.orchestrator.jobs.test_deletion import Clock, completed, submitted
from tests.unit.orchestrator.reconciler.passes import restore
from tests.unit.tasks.inline import run_job

RULES = {"*": {"source": 10.0, "audio": 5.0, "checkpoints": 20.0, "transcripts": 100.0}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(settings: Settings, redis: Redis, place: object) -> Iterator[Cluster]:
    opened = open_cluster(settings.model_copy(update={"retention": RULES}))
    yield opened
    opened.close()


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(12, seed=1)[0])


def swept(cluster: Cluster, clock: Clock) -> None:
    """As the reconciler does: a whole walk."""
    leading = Leading(cluster.redis, 100.0)
    assert leading.take()
    try:
        Retaining(cluster, leading, clock).sweep()
    finally:
        leading.release()


def kinds(cluster: Cluster) -> set[str]:
    """Which kinds are left of all jobs."""
    found = set()
    for key in cluster.store.list(f"tenants/{TENANT}/"):
        folder = key.split("/")[2]
        if folder == "audio":
            found.add("audio" if key.endswith("/pcm") else "checkpoints")
        elif folder in ("sources", "uploads"):
            found.add("source")
        elif key.endswith("/result.json"):
            found.add("transcripts")
    return found


def test_the_rules_of_a_tenant_replace_those_of_all(settings: Settings) -> None:
    rules = RULES | {"acme": {"transcripts": 1.0}, "kept": {}}
    values = settings.model_copy(update={"retention": rules})
    assert ages(values, "acme") == {"transcripts": DAY_SECONDS}
    assert ages(values, "kept") == {}
    assert ages(values, "other")["audio"] == 5 * DAY_SECONDS
    assert ages(settings, "acme") == {}


@pytest.mark.slow
def test_each_kind_goes_at_its_age(cluster: Cluster, clock: Clock, talk: Path) -> None:
    cluster.jobs.restored()
    job = completed(cluster, talk)
    everything = {"source", "audio", "checkpoints", "transcripts"}
    left = {0: everything, 4: everything, 6: everything - {"audio"}}
    left |= {11: {"checkpoints", "transcripts"}, 21: {"transcripts"}, 99: {"transcripts"}}
    for days, expected in left.items():
        clock.now = time.time() + days * DAY_SECONDS
        swept(cluster, clock)
        assert kinds(cluster) == expected, days
        assert cluster.result(TENANT, job.id)["transcript"]["segments"]
    clock.now = time.time() + 101 * DAY_SECONDS
    swept(cluster, clock)
    assert kinds(cluster) == set()
    with pytest.raises(UnknownJob):
        cluster.job(TENANT, job.id)


@pytest.mark.slow
def test_what_has_gone_costs_no_request_at_the_next_walk(
    cluster: Cluster, clock: Clock, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(cluster, talk)
    clock.now += 50 * DAY_SECONDS
    rules = Retention(cluster, clock)
    assert {one.kind for one in rules.apply(job_folder(cluster.store, TENANT, job.id))} == {
        "source",
        "audio",
        "checkpoints",
    }
    folder = job_folder(cluster.store, TENANT, job.id)
    with monkeypatch.context() as asked:
        for name in ("list", "size", "get", "put"):
            asked.setattr(cluster.store, name, lambda *_: pytest.fail("a request"))
        assert rules.apply(folder) == []


@pytest.mark.slow
def test_a_dry_run_tells_what_would_go_and_deletes_nothing(
    cluster: Cluster, clock: Clock, talk: Path
) -> None:
    job = completed(cluster, talk)
    before = list(cluster.store.list(""))
    clock.now += 50 * DAY_SECONDS
    folder = job_folder(cluster.store, TENANT, job.id)
    told = Retention(cluster, clock).apply(folder, dry_run=True)
    assert list(cluster.store.list("")) == before
    assert told == Retention(cluster, clock).apply(folder)


@pytest.mark.slow
def test_audio_that_a_younger_job_shares_stays(cluster: Cluster, clock: Clock, talk: Path) -> None:
    old = completed(cluster, talk)
    clock.now += 50 * DAY_SECONDS
    open_one = submitted(cluster, talk)  # young by its id; it has claimed the source alone
    rules = Retention(cluster, clock)
    rules.apply(job_folder(cluster.store, TENANT, old.id))
    assert exists(cluster.store, cluster.records.manifest(TENANT, old.id).source.artifact or "")
    run_job(cluster.redis, open_one)  # decoded again, as the audio has gone
    assert cluster.job(TENANT, open_one.id).status is Status.COMPLETED


@pytest.mark.slow
def test_a_legal_hold_keeps_a_job_from_rules_and_from_people(
    cluster: Cluster, clock: Clock, talk: Path
) -> None:
    cluster.jobs.restored()
    job = completed(cluster, talk)
    before = list(cluster.store.list(f"tenants/{TENANT}/"))
    clock.now += 200 * DAY_SECONDS
    for held in (job.id, None):
        hold(cluster.store, TENANT, held, "case 7", 1000.0)
        assert list(holds(cluster.store)) == [(TENANT, held)]
        swept(cluster, clock)
        with pytest.raises(JobHeld):
            delete_job(cluster, TENANT, job.id)
        assert list(cluster.store.list(f"tenants/{TENANT}/")) == before
        assert end_hold(cluster.store, TENANT, held)
    assert not end_hold(cluster.store, TENANT, job.id)
    swept(cluster, clock)
    assert kinds(cluster) == set()


@pytest.mark.slow
def test_a_job_whose_audio_has_gone_cannot_be_retried_and_says_so(
    cluster: Cluster, clock: Clock, talk: Path
) -> None:
    job = partial(cluster, talk)
    clock.now += 6 * DAY_SECONDS
    Retention(cluster, clock).apply(job_folder(cluster.store, TENANT, job.id))
    with pytest.raises(SourceMissing, match="deleted"):
        retry(cluster, TENANT, job.id)
    assert list(cluster.store.list(keys.OPEN)) == []
    assert cluster.job(TENANT, job.id).run == 1


@pytest.mark.slow
@pytest.mark.parametrize("days", [9, 11])
def test_a_job_that_was_not_decoded_is_retried_only_while_its_file_is_there(
    cluster: Cluster, clock: Clock, talk: Path, days: int
) -> None:
    job = submitted(cluster, talk)
    cancel(cluster, TENANT, job.id)
    clock.now += days * DAY_SECONDS
    rules = Retention(cluster, clock)
    rules.apply(job_folder(cluster.store, TENANT, job.id))
    if days > 10:
        with pytest.raises(SourceMissing):
            retry(cluster, TENANT, job.id)
        assert list(cluster.store.list(keys.OPEN)) == []
        return
    again = retry(cluster, TENANT, job.id)
    clock.now += 50 * DAY_SECONDS
    assert rules.apply(job_folder(cluster.store, TENANT, job.id)) == []
    run_job(cluster.redis, again)
    assert cluster.job(TENANT, job.id).status is Status.COMPLETED


@pytest.mark.slow
def test_a_retry_makes_a_job_young_again(cluster: Cluster, clock: Clock, talk: Path) -> None:
    job = partial(cluster, talk)
    again = retry(cluster, TENANT, job.id)
    clock.now += 50 * DAY_SECONDS
    rules = Retention(cluster, clock)
    assert rules.apply(job_folder(cluster.store, TENANT, job.id)) == []  # it is open
    run_job(cluster.redis, again)
    assert cluster.job(TENANT, job.id).status is Status.COMPLETED
    clock.now = time.time() + 4 * DAY_SECONDS
    assert rules.apply(job_folder(cluster.store, TENANT, job.id)) == []


@pytest.mark.slow
def test_a_retry_while_the_whole_job_is_deleted_is_refused(
    cluster: Cluster, clock: Clock, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = partial(cluster, talk)
    clock.now += 101 * DAY_SECONDS
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)

    def delete(*given: Any, **named: Any) -> None:
        with pytest.raises(StoreUnavailable):
            retry(cluster, TENANT, job.id)
        delete_job(*given, **named)
        with pytest.raises(UnknownJob):
            retry(cluster, TENANT, job.id)

    monkeypatch.setattr(retention, "delete_job", delete)
    Retention(cluster, clock).apply(job_folder(cluster.store, TENANT, job.id))
    assert list(cluster.store.list(keys.OPEN)) == []
    assert kinds(cluster) == set()


@pytest.mark.slow
def test_a_job_that_is_retried_after_its_age_was_read_stays(
    cluster: Cluster, clock: Clock, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = partial(cluster, talk)
    clock.now += 101 * DAY_SECONDS
    rules, is_owed = Retention(cluster, clock), Retention._is_owed

    def retried(self: Retention, folder: JobFolder) -> bool:
        retry(cluster, TENANT, job.id)
        return is_owed(self, folder)

    monkeypatch.setattr(Retention, "_is_owed", retried)
    assert rules.apply(job_folder(cluster.store, TENANT, job.id)) == []
    run_job(cluster.redis, cluster.job(TENANT, job.id))
    assert cluster.job(TENANT, job.id).status is Status.COMPLETED


@pytest.mark.slow
def test_a_rerun_of_a_job_that_is_deleted_at_that_moment_leaves_nothing_half_written(
    cluster: Cluster, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(cluster, talk)
    get, late = cluster.store.get, [keys.plan(TENANT, job.id)]

    def deleted(key: str) -> bytes:
        if key in late:
            late.clear()
            delete_job(cluster, TENANT, job.id)
        return get(key)

    monkeypatch.setattr(cluster.store, "get", deleted)
    with pytest.raises(SourceMissing):
        rerun(cluster, TENANT, job.id, {"beam_size": 2})
    assert not late
    assert [key for key in cluster.store.list(keys.jobs(TENANT)) if job.id not in key] == []


def test_what_is_due_after_minutes_does_not_wait_for_an_hour(settings: Settings) -> None:
    for days, seconds in ((1.0, 3600.0), (0.1, 864.0), (1e-4, 0.864)):
        rules = {"*": {"transcripts": 30.0}, "acme": {"audio": days}, "kept": {}}
        changed = settings.model_copy(update={"retention": rules})
        assert retaining._rest(changed) == pytest.approx(seconds)
    assert retaining._rest(settings) == 3600.0


def partial(cluster: Cluster, path: Path) -> Job:
    """A prepared job that was canceled."""
    job = submitted(cluster, path)
    run_job(cluster.redis, job)
    run = job_folder(cluster.store, TENANT, job.id).newest
    cluster.store.delete(keys.of_run(run, keys.RESULT))
    data = encode(result_record(canceled=True))
    cluster.store.put(keys.of_run(run, keys.RESULT), data)
    cluster.settle(run)
    cluster.jobs.forget(TENANT, job.id)
    assert cluster.job(TENANT, job.id).status is Status.CANCELED
    return cluster.job(TENANT, job.id)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.slow
def test_under_load_with_kills_and_a_wipe_nothing_needed_goes_and_nothing_due_stays(
    cluster: Cluster, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old jobs of shared and own audio; new ones, reruns and retries of them while rules run."""
    dice = random.Random(5)
    cluster.jobs.restored()
    monkeypatch.setattr(retaining, "THREADS", 1)  # a kill ends its process, not one of its threads
    talks = [
        write_wav(tmp_path / f"{number}.wav", recording(6, seed=number)[0]) for number in range(8)
    ]
    old = [completed(cluster, talks[number % 8]) for number in range(12)]
    canceled = [partial(cluster, path) for path in talks[:4]]
    offset = 50 * DAY_SECONDS  # the old ones are that old for the rules; those from now on are not
    border = time.time()
    real = Retention._age_if_over

    def age(self: Retention, folder: Any) -> float | None:
        found = real(self, folder)  # by a clock that is `offset` ahead
        is_old = found is not None and clock.now - found < border
        return found if found is None or is_old else found - offset

    monkeypatch.setattr(Retention, "_age_if_over", age)
    clock.now += offset
    ended, refused, young = threading.Event(), list[Exception](), list[Job]()

    def load() -> None:
        turns = random.Random(9)
        for _ in range(16):
            what = turns.randrange(3)
            time.sleep(turns.random() * 0.1)  # between them rules go on
            try:
                if what == 0:
                    job = submitted(cluster, turns.choice(talks[:6]))
                elif what == 1:
                    job = rerun(cluster, TENANT, turns.choice(old[:6]).id, {"beam_size": 2})
                else:
                    job = retry(cluster, TENANT, turns.choice(canceled).id)
            except ScriptoriumError as error:  # gone already, or run again already
                refused.append(error)
                continue
            young.append(job)
        ended.set()

    loader = threading.Thread(target=load)
    loader.start()
    delete = cluster.store.delete
    kills = 0

    def deadly(key: str) -> None:
        nonlocal kills
        if "/audio/" in key and dice.random() < 0.4:
            kills += 1
            raise Killed
        delete(key)

    passes = 0
    while not ended.is_set() or passes < 12:
        passes += 1
        with monkeypatch.context() as dying, suppress(Killed):
            dying.setattr(cluster.store, "delete", deadly)
            swept(cluster, clock)
        for key in list(cluster.store.list(f"tenants/{TENANT}/releasing/")):
            delete(key)  # as after ten minutes: the mark of a process that died
        if passes == 6:
            cluster.redis.flushall()
            restore(cluster)
    loader.join()
    assert kills
    for job in young:  # every run that was accepted ends, with its transcript
        if cluster.job(TENANT, job.id).status.final:
            continue
        run_job(cluster.redis, job)
        assert cluster.job(TENANT, job.id).status is Status.COMPLETED, job.id
    swept(cluster, clock)
    needed, stayed = {job.id for job in young}, list[bool]()
    for job in (*old, *canceled):  # what is due has gone, but for what the young ones need
        folder = job_folder(cluster.store, TENANT, job.id)
        if job.id in needed or not folder.is_accepted:
            continue
        plan = cluster.records.plan(TENANT, job.id)
        users = cluster.store.list(keys.uses(TENANT, plan.audio))
        is_shared = any(key.rpartition("/")[2] in needed for key in users)
        stayed.append(exists(cluster.store, keys.pcm(TENANT, plan.audio)))
        assert stayed[-1] == is_shared
    assert True in stayed and False in stayed
    with suppress(ScriptoriumError):
        cancel(cluster, TENANT, young[0].id)
