"""A look at a whole store: what a copy of one in use lacks is told, and mended."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.ended_jobs import ENDED
from orchestrator.collections import places
from orchestrator.jobs.deletion import Tombstone, delete_job
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.submission import submit
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.soundness.findings import Finding, Kind
from orchestrator.soundness.mending import mend
from orchestrator.soundness.walking import Walk
from tasks.artifacts import ArtifactStore, encode, exists
from tasks.runs import keys, usage_keys
from tasks.runs.manifest import Source
from tasks.runs.records import result_record
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, write_records
from tests.unit.orchestrator.collections.collected import accepted, addresses
from tests.unit.orchestrator.reconciler.passes import restore, with_settings

HASH = "ab" * 32


def later() -> float:
    return time.time() + 3600.0


def findings(store: ArtifactStore) -> list[Finding]:
    return list(Walk(store, clock=later).findings())


def kinds(store: ArtifactStore) -> list[Kind]:
    return [it.kind for it in findings(store)]


@pytest.fixture
def cluster(connection: Cluster) -> Cluster:
    connection.jobs.restored()
    return with_settings(connection, source_buckets="calls", allowed_models="fake")


def a_job(cluster: Cluster, **given: Any) -> Run:
    store = cluster.store
    store.put(keys.source(TENANT, HASH), b"talk")
    source = Source(name="talk.wav", artifact=keys.source(TENANT, HASH))
    options = job_options({"model": "fake", "language": "en"})
    job = submit(cluster, source, options, tenant=TENANT, idempotency_key="call 1", **given)
    return Run(TENANT, job.id, 1)


def prepared(cluster: Cluster, run: Run) -> None:
    plan = a_plan(10)
    store = cluster.store
    for content in (HASH, plan.audio):
        store.put(keys.job(TENANT, run.job, "uses/") + content, b"")
        store.put(keys.uses(TENANT, content) + run.job, b"")
    store.put(keys.pcm(TENANT, plan.audio), b"pcm")
    store.put(keys.plan(TENANT, run.job), encode(plan.model_dump(mode="json")))


def ended(cluster: Cluster, run: Run) -> None:
    store = cluster.store
    store.put(keys.of_run(run, "timings.json"), b"{}")
    store.put(usage_keys.used(run), b"{}")
    store.put(keys.of_run(run, keys.RESULT), encode(result_record(transcript={})))
    cluster.settle(run)


def test_a_store_is_sound_at_each_step_of_a_job(cluster: Cluster) -> None:
    assert kinds(cluster.store) == []
    run = a_job(cluster)
    assert kinds(cluster.store) == []
    prepared(cluster, run)
    assert kinds(cluster.store) == []
    ended(cluster, run)
    assert kinds(cluster.store) == []
    delete_job(cluster, TENANT, run.job)
    assert kinds(cluster.store) == []


def test_a_job_of_the_last_minute_is_perhaps_just_being_submitted(cluster: Cluster) -> None:
    run = a_job(cluster)
    cluster.store.delete(keys.open_run(run))
    assert list(Walk(cluster.store).findings()) == []
    assert kinds(cluster.store) == [Kind.RUN_NOT_OPEN]


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        (lambda run: keys.open_run(run), Kind.RUN_NOT_OPEN),
        (lambda run: keys.pcm(TENANT, a_plan().audio), Kind.AUDIO_LOST),
        (lambda run: keys.uses(TENANT, a_plan().audio) + run.job, Kind.NOT_CLAIMED),
        (lambda run: keys.idempotency(TENANT, "call 1"), Kind.KEY_LOST),
    ],
)
def test_what_an_open_run_lacks_is_told_and_mended(cluster: Cluster, lost: Any, kind: Kind) -> None:
    run = a_job(cluster)
    prepared(cluster, run)
    cluster.store.delete(lost(run))
    found = findings(cluster.store)
    assert kind in [it.kind for it in found]
    for finding in found:
        mend(cluster.store, finding)
    assert kinds(cluster.store) == []
    assert exists(cluster.store, keys.plan(TENANT, run.job)) is (kind is not Kind.AUDIO_LOST)


def test_an_end_that_is_not_counted_or_listed_is(cluster: Cluster) -> None:
    run = a_job(cluster)
    ended(cluster, run)
    cluster.store.delete(usage_keys.used(run))
    for key in list(cluster.store.list(ENDED)):
        cluster.store.delete(key)
    found = findings(cluster.store)
    assert [it.kind for it in found] == [Kind.USE_NOT_COUNTED, Kind.INDEX_WRONG]
    for finding in found:
        mend(cluster.store, finding)
    assert exists(cluster.store, usage_keys.uncounted(run))
    assert [job for _, job in cluster.ended.newest(TENANT, 9)] == [run.job]
    assert kinds(cluster.store) == []


def test_a_webhook_that_is_neither_delivered_nor_owed_is_owed_again(cluster: Cluster) -> None:
    run = a_job(with_settings(cluster, webhook_hosts="example.org"), webhook_url="https://x.org/")
    ended(cluster, run)
    assert kinds(cluster.store) == []
    cluster.store.delete(keys.owed(run))
    (found,) = findings(cluster.store)
    assert found.kind is Kind.NOT_OWED
    mend(cluster.store, found)
    assert exists(cluster.store, keys.owed(run))
    cluster.store.delete(keys.owed(run))
    cluster.store.put(keys.delivered(run, "webhook"), b"{}")
    assert kinds(cluster.store) == []


@pytest.mark.parametrize("is_claimed", [True, False], ids=["with a claim", "without claims"])
def test_what_a_half_deletion_has_left_is_deleted_with_its_contents(
    cluster: Cluster, is_claimed: bool
) -> None:
    """The copy has no tombstone, and of the job its result, or claims alone."""
    run = a_job(cluster)
    prepared(cluster, run)
    store = cluster.store
    gone = [key for key in store.list("") if not key.startswith(f"tenants/{TENANT}/uses/")]
    for key in gone:
        if "/audio/" not in key and "/sources/" not in key:
            store.delete(key)
    if not is_claimed:
        for key in list(store.list(keys.claims(TENANT))):
            store.delete(key)
    found = findings(store)
    wanted = {Kind.REST_OF_JOB} if is_claimed else {Kind.REST_OF_CONTENT}
    assert {it.kind for it in found} == wanted
    for finding in found:
        mend(store, finding)
    clock = time.time()
    stones = Tombstones(cluster, lambda: clock)
    for _ in range(4):
        stones.sweep()
        clock += 10_000.0
    assert list(store.list("")) == []


def test_a_claim_that_the_first_deletion_did_not_know_of_is_removed_by_a_second_one(
    cluster: Cluster,
) -> None:
    """The second tombstone has the key of the first, which was removed a moment ago."""
    run = a_run()
    cluster.store.put(keys.open_run(run), b"")
    cluster.store.put(keys.uses(TENANT, HASH) + run.job, b"")
    cluster.store.put(keys.source(TENANT, HASH), b"talk")
    later_still = time.time() + 10_000.0
    stones = Tombstones(cluster, lambda: later_still)
    for _ in range(2):  # what the markers tell, then what the claims tell
        (found,) = findings(cluster.store)
        assert found.kind is Kind.REST_OF_JOB
        mend(cluster.store, found)
        while exists(cluster.store, keys.tombstone(TENANT, run.job)):
            stones.sweep()
    assert [key for key in cluster.store.list("") if not key.startswith(usage_keys.RUNS)] == []


def test_half_jobs_with_the_same_contents_do_not_give_way_to_each_other_for_ever(
    cluster: Cluster,
) -> None:
    """A tombstone says what it releases: by that, deletions that share a content take turns."""
    contents = [number * 32 for number in ("ab", "cd")]
    runs = [Run(TENANT, f"job-{number}", 1) for number in range(8)]
    for job in (run.job for run in runs):
        for content in contents:
            cluster.store.put(keys.job(TENANT, job, "uses/") + content, b"")
            cluster.store.put(keys.uses(TENANT, content) + job, b"")
    for finding in findings(cluster.store):
        mend(cluster.store, finding)
    assert all(
        set(Tombstone.read(cluster.store, TENANT, run.job).contents) == set(contents)
        for run in runs
    )
    later_still = time.time() + 10_000.0
    stones = Tombstones(cluster, lambda: later_still)
    for _ in range(3):  # two that find nothing, after one that erases
        stones.sweep()
    assert list(cluster.store.list("")) == []


def test_what_is_just_uploaded_is_no_finding_unless_it_is_asked_for(cluster: Cluster) -> None:
    cluster.store.put(keys.source(TENANT, HASH), b"talk")
    upload = job_id()
    cluster.store.put(keys.pending(TENANT, upload), b"")
    cluster.store.put(keys.upload(TENANT, upload), b"talk")
    walk = Walk(cluster.store, clock=later)
    assert list(walk.findings(with_contents=False)) == []
    assert [it.contents for it in findings(cluster.store)] == [(HASH,)]


def test_tenants_of_which_markers_alone_are_left_are_looked_at_too(cluster: Cluster) -> None:
    cluster.store.put(keys.open_run(Run("other", "1" * 23, 1)), b"")
    assert kinds(cluster.store) == [Kind.REST_OF_JOB]


def test_a_round_without_an_end_and_a_marker_is_opened_again(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(2))
    assert kinds(cluster.store) == []
    first = places.open_round(Run(TENANT, collection.id, 1))
    cluster.store.delete(first)
    restore(cluster)  # the reconciler's walk
    assert exists(cluster.store, first)
    cluster.store.delete(first)
    (found,) = findings(cluster.store)
    assert found.kind is Kind.ROUND_NOT_OPEN
    mend(cluster.store, found)
    assert kinds(cluster.store) == []


def test_a_collection_without_its_lines_is_deleted(cluster: Cluster) -> None:
    collection = accepted(cluster, addresses(2))
    cluster.store.delete(places.lines(TENANT, collection.id))
    (found,) = findings(cluster.store)
    assert found.kind is Kind.LIST_LOST
    mend(cluster.store, found)
    assert exists(cluster.store, places.deleted(TENANT, collection.id))
    assert kinds(cluster.store) == []


def test_jobs_whose_ids_begin_with_another_s_are_taken_for_themselves(cluster: Cluster) -> None:
    """As keys sort, `a-b/` comes before `a/`."""
    for job in ("a", "a-b", "a.b", "ab"):
        write(cluster.store, job)
    assert kinds(cluster.store) == []


def write(store: ArtifactStore, job: str) -> None:

    write_records(store, a_manifest(job))
    store.put(keys.source(TENANT, "ab"), b"talk")
    store.put(keys.uses(TENANT, "ab") + job, b"")
    store.put(keys.open_run(a_run(job=job)), b"")


def test_an_ended_job_that_was_canceled_has_no_use_to_be_counted(cluster: Cluster) -> None:
    run = a_job(cluster)
    cancel(cluster, TENANT, run.job)
    cluster.store.delete(usage_keys.uncounted(run))
    assert kinds(cluster.store) == []
