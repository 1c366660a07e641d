"""After a restore from a copy of a store in use: what the reconciler makes sound by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.collections import places
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.lines import idempotency_key
from orchestrator.reconciler.cataloguing import EVERY_SECONDS, Cataloguing
from orchestrator.reconciler.leading import Leading
from orchestrator.reconciler.restoring import Restoring
from orchestrator.soundness.jobs import SETTLED_SECONDS, SUBMITTING_SECONDS
from tasks.artifacts import encode, exists
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state import claims
from tasks.state.claims import marked
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, write_records
from tests.queued_units import queued_units
from tests.unit.orchestrator.collections.collected import (
    accepted,
    addresses,
    collecting,
    counts,
    end_jobs,
    lines,
)
from tests.unit.orchestrator.reconciler.passes import Clock, restore, with_settings

OLD = f"{0:011x}{0:012x}"  # an id of 1970


@pytest.fixture
def leading(connection: Cluster) -> Iterator[Leading]:
    found = Leading(connection.redis, 100.0)
    assert found.take()
    yield found
    found.release()


def test_after_a_restore_a_job_of_this_moment_is_opened_at_once(connection: Cluster) -> None:
    """The copy was made a moment after the job was accepted, and lacks its open marker."""
    young = job_id()
    write_records(connection.store, a_manifest(young))
    connection.store.put(keys.source(TENANT, "ab"), b"talk")
    time.sleep(0.01)
    restore(connection)
    run = a_run(job=young)
    assert connection.jobs.open_runs() == [run]
    assert exists(connection.store, keys.open_run(run))
    assert exists(connection.store, keys.uses(TENANT, "ab") + young)


def test_beside_a_cluster_in_use_the_walk_comes_again_for_a_job_that_is_being_submitted(
    connection: Cluster, leading: Leading
) -> None:
    """It was left for a day if its submission had died at this moment."""
    clock, young = Clock(), job_id()
    clock.now = time.time()
    connection.jobs.restored()
    write_records(connection.store, a_manifest(young))
    restoring = Restoring(connection, leading, adopt=True, clock=clock)
    catalog = Cataloguing(connection, leading, restoring, clock)
    catalog.walk()
    assert connection.jobs.open_runs() == []
    clock.now += SUBMITTING_SECONDS - 1
    catalog.walk()
    assert connection.jobs.open_runs() == []
    clock.now += 2
    catalog.walk()
    assert connection.jobs.open_runs() == [a_run(job=young)]
    clock.now += EVERY_SECONDS / 2  # then as always, once a day
    connection.store.delete(keys.open_run(a_run(job=young)))
    catalog.walk()
    assert not exists(connection.store, keys.open_run(a_run(job=young)))


def test_a_plan_without_its_audio_is_forgotten_and_the_file_is_decoded_again(
    connection: Cluster,
) -> None:
    """In the order of names, `audio/` is copied before `jobs/`."""
    write_records(connection.store, a_manifest(), a_plan(10))
    connection.store.put(keys.open_run(a_run()), b"")
    restore(connection)
    assert not exists(connection.store, keys.plan(TENANT, JOB))
    assert queued_units(connection.redis) == {a_run().unit(Stage.PREPARE)}


def an_open_run_without_its_claim(connection: Cluster) -> None:
    """A copy in any order has the open marker and the audio, and lacks the claim behind them."""
    write_records(connection.store, a_manifest(OLD), a_plan())
    connection.store.put(keys.open_run(a_run(job=OLD)), b"")
    connection.store.put(keys.source(TENANT, "ab"), b"talk")
    connection.store.put(keys.pcm(TENANT, "ab"), b"sound")


def test_an_open_run_claims_its_audio_again_so_that_the_deletion_of_another_job_keeps_it(
    connection: Cluster,
) -> None:
    store, own = connection.store, keys.uses(TENANT, "ab")
    an_open_run_without_its_claim(connection)
    write_records(store, a_manifest("other"), a_plan())
    store.put(own + "other", b"")
    restore(connection)
    delete_job(connection, TENANT, "other")
    assert exists(store, keys.pcm(TENANT, "ab"))
    assert list(store.list(own)) == [own + OLD]


def test_audio_that_a_deletion_takes_at_the_moment_when_it_is_claimed_again_is_decoded_again(
    connection: Cluster,
) -> None:
    an_open_run_without_its_claim(connection)
    begun = threading.Event()

    def delete() -> None:
        with marked(connection.store, connection.leases, TENANT, "ab"):
            begun.set()
            time.sleep(0.2)
            connection.store.delete(keys.pcm(TENANT, "ab"))

    deletion = threading.Thread(target=delete)
    deletion.start()
    assert begun.wait(PATIENCE_SECONDS)
    restore(connection)
    deletion.join()
    assert not exists(connection.store, keys.plan(TENANT, OLD))
    assert queued_units(connection.redis) == {a_run(job=OLD).unit(Stage.PREPARE)}


def test_the_mark_of_a_deletion_that_died_does_not_keep_others_from_being_restored(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    an_open_run_without_its_claim(connection)
    mark = encode({"owner": "release:of the old cluster", "since": time.time()})
    connection.store.put(keys.releasing(TENANT, "ab"), mark)
    restore(connection)
    assert connection.jobs.open_runs() == [a_run(job=OLD)]
    assert exists(connection.store, keys.uses(TENANT, "ab") + OLD)


def test_a_choice_of_models_without_its_language_is_made_again(connection: Cluster) -> None:
    manifest = a_manifest(language=None, model="auto")
    write_records(connection.store, manifest, a_plan(10))
    connection.store.put(keys.pcm(TENANT, a_plan().audio), b"pcm")
    connection.store.put(keys.open_run(a_run()), b"")
    choice = keys.of_run(a_run(), keys.CHOICE)
    connection.store.put(choice, encode({"model": "pico"}))
    restore(connection)
    assert not exists(connection.store, choice)
    assert exists(connection.store, keys.plan(TENANT, JOB))


def test_parts_of_a_job_without_its_manifest_are_deleted(connection: Cluster) -> None:
    """It was just being deleted, and its tombstone is not in the copy."""
    connection.store.put(keys.of_run(a_run(job=OLD), keys.RESULT), b"{}")
    young = job_id()
    connection.store.put(keys.plan(TENANT, young), b"{}")
    connection.jobs.restored()
    restore(connection)
    assert list(connection.store.list(keys.DELETED)) == [keys.tombstone(TENANT, OLD)]
    assert SETTLED_SECONDS > SUBMITTING_SECONDS


def test_the_marker_of_a_run_that_a_retry_has_followed_is_removed(connection: Cluster) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.of_run(a_run(2), "started.json"), b"{}")
    for number in (1, 2):
        connection.store.put(keys.open_run(a_run(number)), b"")
    restore(connection)
    assert list(connection.store.list(keys.OPEN)) == [keys.open_run(a_run(2))]
    assert connection.jobs.open_runs() == [a_run(2)]


def test_a_partial_job_of_which_the_copy_lacks_the_failed_unit_stays_listed_as_partial(
    connection: Cluster,
) -> None:
    job = f"{1000:011x}{0:012x}"
    write_records(connection.store, a_manifest(job))
    result = result_record(transcript={}, missing=[{"start": 0.0, "end": 1.0}])
    connection.store.put(keys.of_run(a_run(job=job), "timings.json"), b"{}")
    connection.store.put(keys.of_run(a_run(job=job), keys.RESULT), encode(result))
    connection.ended.add(TENANT, (1.0, job), Status.PARTIAL)
    restore(connection)
    assert connection.ended.newest(TENANT, 9, statuses=[Status.PARTIAL]) == [(1.0, job)]
    assert connection.ended.newest(TENANT, 9, statuses=[Status.COMPLETED]) == []


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def wiped(cluster: Cluster) -> None:
    """A Redis that knows nothing of it."""
    cluster.redis.flushall()
    restore(cluster)


@pytest.mark.parametrize("has_key", [True, False], ids=["with its key", "without its key"])
def test_a_line_whose_job_is_not_in_the_copy_is_submitted_again_under_its_id(
    cluster: Cluster, has_key: bool
) -> None:
    collection = accepted(cluster, addresses(3))
    collecting(cluster).go_on()
    jobs = [line["job"] for line in lines(cluster, collection)]
    for key in [key for key in cluster.store.list("") if jobs[1] in key and "/jobs/" in key]:
        cluster.store.delete(key)
    cluster.store.delete(keys.open_run(Run(TENANT, jobs[1], 1)))
    if not has_key:
        cluster.store.delete(keys.idempotency(TENANT, idempotency_key(collection.id, 2)))
    wiped(cluster)
    for _ in range(3):
        end_jobs(cluster)
        collecting(cluster).go_on()
    assert counts(cluster, collection)["completed"] == 3
    assert [line["job"] for line in lines(cluster, collection)] == jobs


def test_a_line_whose_job_was_deleted_stays_so_after_a_wipe(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(3))
    collecting(cluster).go_on()
    jobs = [line["job"] for line in lines(cluster, collection)]
    delete_job(cluster, TENANT, jobs[1])
    cluster.store.delete(keys.tombstone(TENANT, jobs[1]))  # as the sweep does
    wiped(cluster)
    for _ in range(3):
        end_jobs(cluster)
        collecting(cluster).go_on()
    assert counts(cluster, collection)["completed"] == 2
    assert not exists(cluster.store, keys.manifest(TENANT, jobs[1]))


def test_a_piece_that_is_not_in_the_copy_is_written_again_with_the_same_jobs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.collections.making.PIECE", 2)
    collection = accepted(cluster, addresses(6))
    collecting(cluster).go_on()
    jobs = [line["job"] for line in lines(cluster, collection)]
    first = Run(TENANT, collection.id, 1)
    assert len(list(cluster.store.list(places.made(first)))) == 3
    cluster.store.delete(places.piece(first, 2))
    wiped(cluster)
    for _ in range(3):
        end_jobs(cluster)
        collecting(cluster).go_on()
    assert counts(cluster, collection)["completed"] == 6
    assert [line["job"] for line in lines(cluster, collection)] == jobs
