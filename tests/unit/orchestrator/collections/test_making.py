"""Each line becomes a job or a named refusal: under quotas, in two processes, after a crash."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from gpu_worker.errors import StoreUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import EndedJobs
from orchestrator.collections import deletion, making, places
from orchestrator.collections.rounds import Rounds
from orchestrator.collections.states import States
from orchestrator.jobs import acceptance, submission
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.ready_by import ReadyByPassed
from orchestrator.jobs.requests import JobRequest
from orchestrator.jobs.submitter import Submitter
from orchestrator.jobs.uploads import announce, take_upload
from orchestrator.usage.budgets import Spent
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.units import Run
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.collections.collected import (
    ERROR,
    OPTIONS,
    accepted,
    addresses,
    collecting,
    counts,
    end_job,
    end_jobs,
    lines,
    shown,
)
from tests.unit.orchestrator.reconciler.passes import with_settings


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def test_a_line_has_its_own_ready_by_or_that_of_all(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time() + 3600
    items = ["s3://calls/a.wav", {"source": "s3://calls/b.wav", "ready_by": 60}]
    collection = accepted(cluster, items, ready_by=at)
    assert shown(cluster, collection)["ready_by"] == at
    collecting(cluster).go_on()
    own = [cluster.job(TENANT, it["job"]).ready_by for it in lines(cluster, collection)]
    assert own == [at, pytest.approx(time.time() + 60, abs=50)]


def test_a_line_whose_turn_comes_late_is_a_job_like_any_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, ["s3://calls/a.wav"], ready_by=time.time() + 3600)
    later = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later)
    collecting(cluster).go_on()
    (line,) = lines(cluster, collection)
    assert (line["status"], cluster.job(TENANT, line["job"]).ready_by) == ("queued", None)


def test_a_collection_that_should_have_been_ready_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ReadyByPassed):
        accepted(cluster, ["s3://calls/a.wav"], ready_by=time.time() - 1)


def test_each_line_is_a_job_or_a_named_refusal(cluster: Cluster) -> None:
    items: list[Any] = [
        "s3://calls/a.wav",
        "s3://elsewhere/b.wav",
        {"source": "s3://calls/c.wav", "options": {"beam_size": 0}},
        {
            "source": "s3://calls/d.wav",
            "options": {"language": "de"},
            "metadata": {"order": "7"},
            "labels": {"team": "red"},
        },
        "d.wav",
        {"source": "s3://calls/e.wav", "options": {"model": "unheard-of"}},
    ]
    collection = accepted(
        cluster, items, metadata={"team": "sales", "order": "0"}, labels={"team": "blue", "x": "1"}
    )
    assert counts(cluster, collection) == {"total": 6, "waiting": 6}
    collecting(cluster).go_on()
    assert counts(cluster, collection) == {"total": 6, "queued": 2, "refused": 4}
    refused = {
        line["line"]: line["error"]["code"] for line in lines(cluster, collection, "refused")
    }
    assert refused == {
        2: "source_not_allowed",
        3: "invalid_option",
        5: "invalid_option",
        6: "unknown_model",
    }
    first, second = lines(cluster, collection, "queued")
    assert (first["line"], first["name"]) == (1, "a.wav")
    manifest = cluster.records.manifest(TENANT, second["job"])
    assert manifest.options.language == "de"
    assert manifest.metadata == {"team": "sales", "order": "7"}
    assert manifest.labels == {"team": "red", "x": "1"}
    end_jobs(cluster)
    collecting(cluster).go_on()
    assert shown(cluster, collection)["status"] == "partial"
    assert shown(cluster, collection)["progress"] == 1.0


def test_a_full_quota_is_no_failure_and_lines_follow_as_room_frees(cluster: Cluster) -> None:
    small = with_settings(cluster, quotas={TENANT: {"jobs_in_flight": 4}})
    collection = accepted(small, addresses(8))
    duty = collecting(small)
    duty.go_on()
    assert counts(small, collection) == {"total": 8, "waiting": 5, "queued": 3}
    single = JobRequest.model_validate({"source": "s3://calls/x.wav", "options": OPTIONS})
    Submitter(small, TENANT, None, "api").submit_named(single)  # finds room beside it
    duty.go_on()
    assert counts(small, collection)["waiting"] == 5
    for _ in range(3):
        end_jobs(small)
        duty.go_on()
    assert counts(small, collection) == {"total": 8, "completed": 8}
    assert shown(small, collection)["status"] == "completed"


@pytest.mark.parametrize(("allowed", "made"), [(0, 0), (1, 1), (2, 1)])
def test_a_quota_of_few_jobs_has_room_for_one_line_and_one_of_none_for_none(
    cluster: Cluster, allowed: int, made: int
) -> None:
    small = with_settings(cluster, quotas={TENANT: {"jobs_in_flight": allowed}})
    collection = accepted(small, addresses(3))
    collecting(small).go_on()
    assert counts(small, collection).get("queued", 0) == made


def test_lines_wait_for_room_for_their_audio(cluster: Cluster) -> None:
    small = with_settings(cluster, quotas={TENANT: {"audio_seconds_in_flight": 2000.0}})
    collection = accepted(small, addresses(5))  # ten minutes each, as long as nothing is known
    duty = collecting(small)
    duty.go_on()
    duty.go_on()
    assert small.jobs.in_flight(TENANT).audio_seconds == 1800.0  # the rest is for single files
    assert counts(small, collection)["waiting"] >= 2
    end_jobs(small)
    duty.go_on()
    assert counts(small, collection) == {"total": 5, "completed": 3, "queued": 2}


def test_a_spent_budget_is_no_failure_and_lines_wait(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = [Spent("audio_seconds_a_day", 11.0, 10.0)]
    monkeypatch.setattr(type(cluster.books.budgets), "spent", lambda *_: tuple(spent))
    collection = accepted(cluster, addresses(3))
    collecting(cluster).go_on()
    assert counts(cluster, collection) == {"total": 3, "waiting": 3}
    spent.clear()
    collecting(cluster).go_on()
    assert counts(cluster, collection) == {"total": 3, "queued": 3}


def test_a_round_is_not_ended_by_lines_that_were_not_read(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, addresses(3))
    collecting(cluster).go_on()
    end_jobs(cluster)
    read = States.read
    with monkeypatch.context() as patch:  # Redis is wiped between two pages
        patch.setattr(States, "read", lambda self, turn: list(read(self, turn))[:1])
        collecting(cluster).go_on()
    assert Rounds(cluster).ended(Run(TENANT, collection.id, 1)) is None
    collecting(cluster).go_on()
    assert Rounds(cluster).ended(Run(TENANT, collection.id, 1)) is not None


def test_a_step_that_is_cut_off_goes_on_with_the_same_jobs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, addresses(30))
    real, calls = acceptance.accept, []

    def accept_some(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == 12:
            raise StoreUnavailable("The store is away.")
        return real(*given, **named)

    monkeypatch.setattr(submission, "accept", accept_some)
    with pytest.raises(StoreUnavailable):
        collecting(cluster).go_on()
    before = {run.job for run in cluster.jobs.open_runs()}
    collecting(cluster).go_on()
    after = {run.job for run in cluster.jobs.open_runs()}
    assert len(after) == 30
    assert before < after
    assert counts(cluster, collection) == {"total": 30, "queued": 30}


def test_what_a_process_did_before_it_died_without_writing_is_found_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, addresses(10))
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(making, "finish_piece", lambda *_: (_ for _ in ()).throw(SystemExit()))
        collecting(cluster).go_on()
    assert counts(cluster, collection) == {"total": 10, "waiting": 10}
    jobs = {run.job for run in cluster.jobs.open_runs()}
    assert len(jobs) == 10
    collecting(cluster).go_on()
    assert {line["job"] for line in lines(cluster, collection)} == jobs


def test_two_processes_that_do_the_same_lines_make_the_same_jobs(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(10))
    turn = Run(TENANT, collection.id, 1)
    one, other = Rounds(cluster), Rounds(cluster)
    assert not making.make_some(cluster, one, collection, turn)
    cluster.redis.hset(
        f"scriptorium:collection:{turn.tenant}/{turn.job}:notes", "until/1", 0
    )  # as the other process has read it
    assert not making.make_some(cluster, other, collection, turn)
    assert len(cluster.jobs.open_runs()) == 10
    assert len(list(cluster.store.list(places.made(turn)))) == 1


def test_after_a_wipe_of_redis_every_line_is_known_again(cluster: Cluster) -> None:
    collection = accepted(cluster, [*addresses(5), "s3://elsewhere/x.wav"])
    collecting(cluster).go_on()
    end_jobs(cluster, "2.wav")
    before = counts(cluster, collection)
    cluster.redis.flushall()
    duty = collecting(cluster)
    duty.go_on()  # looks up the jobs
    assert counts(cluster, collection) == before
    duty.go_on()
    assert shown(cluster, collection)["ended_at"] is not None
    cluster.redis.flushall()
    assert counts(cluster, collection) == before == {
        "total": 6, "completed": 4, "failed": 1, "refused": 1,
    }  # fmt: skip


def test_jobs_whose_details_have_expired_are_counted_as_the_stores_index_says(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = accepted(cluster, addresses(5))
    duty = collecting(cluster)
    duty.go_on()
    runs = cluster.jobs.open_runs()
    for number, run in enumerate(runs[:4]):
        end_job(cluster, run, ERROR if number == 2 else None)
        cluster.redis.delete(f"scriptorium:job:{TENANT}/{run.job}")
    before = {"total": 5, "completed": 3, "failed": 1, "queued": 1}
    assert counts(cluster, collection) == before

    def look_up(*_: object) -> None:
        raise AssertionError("a job was looked up")

    monkeypatch.setattr("orchestrator.collections.ending._look_up", look_up)
    duty.go_on()  # notes what it found
    monkeypatch.setattr(EndedJobs, "statuses", lambda *_: {})
    assert counts(cluster, collection) == before
    end_job(cluster, runs[4])
    duty.go_on()
    assert shown(cluster, collection)["status"] == "partial"


def test_a_step_makes_no_job_of_a_collection_that_was_deleted_meanwhile(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(3))
    deletion.delete(cluster, TENANT, collection.id)
    turn = Run(TENANT, collection.id, 1)
    assert not making.make_some(cluster, Rounds(cluster), collection, turn)
    assert cluster.jobs.open_runs() == []


def test_an_upload_of_two_lines_is_kept_until_the_later_one_is_a_job(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = announce(cluster, TENANT, "a.wav", 5)
    take_upload(cluster, TENANT, upload, io.BytesIO(b"sound"))
    collection = accepted(cluster, [{"upload_id": upload.id}, {"upload_id": upload.id}])
    claim = keys.uses(TENANT, upload.id) + collection.id
    monkeypatch.setattr(making, "PIECE", 1)
    rounds, turn = Rounds(cluster), Run(TENANT, collection.id, 1)
    making.make_some(cluster, rounds, collection, turn)
    assert exists(cluster.store, claim)
    making.make_some(cluster, rounds, collection, turn)
    assert not exists(cluster.store, claim)
    assert counts(cluster, collection) == {"total": 2, "queued": 2}


def test_an_upload_is_kept_until_its_turn_comes(cluster: Cluster) -> None:
    upload = announce(cluster, TENANT, "a.wav", 5)
    take_upload(cluster, TENANT, upload, io.BytesIO(b"sound"))
    collection = accepted(cluster, [{"upload_id": upload.id}, {"upload_id": "0" * 23}])
    claim = keys.uses(TENANT, upload.id) + collection.id
    assert exists(cluster.store, claim)
    collecting(cluster).go_on()
    assert not exists(cluster.store, claim)
    first, second = lines(cluster, collection)
    assert list(cluster.store.list(keys.uses(TENANT, upload.id))) == [
        keys.uses(TENANT, upload.id) + first["job"]
    ]
    assert second["error"]["code"] == "unknown_upload"


def test_a_line_whose_job_was_deleted_is_counted_as_deleted(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(2))
    duty = collecting(cluster)
    duty.go_on()
    delete_job(cluster, TENANT, lines(cluster, collection)[0]["job"])
    end_jobs(cluster)
    duty.go_on()
    duty.go_on()
    assert counts(cluster, collection) == {"total": 2, "completed": 1, "deleted": 1}
    assert shown(cluster, collection)["ended_at"] is not None


def test_a_job_that_cannot_be_read_does_not_keep_its_collection_open(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(2))
    collecting(cluster).go_on()
    end_jobs(cluster)
    broken = lines(cluster, collection)[0]["job"]
    key = keys.manifest(TENANT, broken)
    cluster.store.delete(key)
    cluster.store.put(key, b"{")
    cluster.records.forget(TENANT, broken)
    cluster.redis.flushall()
    duty = collecting(cluster)
    for _ in range(3):
        duty.go_on()
    found = shown(cluster, collection)
    assert found["ended_at"] is not None
    assert (found["counts"]["completed"], found["counts"]["failed"]) in {(1, 1), (2, 0)}
