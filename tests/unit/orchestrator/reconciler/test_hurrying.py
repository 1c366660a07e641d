"""A job whose `ready_by` draws near moves up, once; its older messages do no harm."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.open_runs.survey import RunSurvey, Surveyor
from orchestrator.reconciler import Reconciler
from orchestrator.reconciler import hurrying as module
from orchestrator.reconciler.hurrying import AGAIN_SECONDS, Hurrying
from orchestrator.reconciler.leading import Leading
from tasks.artifacts import encode
from tasks.fair_queue import early, lists
from tasks.runs import keys
from tasks.runs.canvas import chain_of, cost_of
from tasks.runs.deadline import MARGIN_SECONDS, place_of
from tasks.runs.dependencies import header_chains
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import Lane, Stage
from tasks.state.receipts import Receipt
from tasks.state.speeds import SpeedName
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.queued_units import queued_units
from tests.unit.orchestrator.reconciler.passes import GRACE, Clock

HOUR = 3600.0
PLAN = a_plan(*[300.0] * 4)
RUN = a_run()


@pytest.fixture
def job(connection: Cluster) -> Manifest:
    """Twenty minutes of audio, due eight hours after the submission, and fanned out at once."""
    manifest = a_manifest()
    return fanned_out(
        connection, manifest.model_copy(update={"ready_by": manifest.created_at + 8 * HOUR})
    )


def fanned_out(connection: Cluster, manifest: Manifest, plan: Plan = PLAN) -> Manifest:
    write_records(connection.store, manifest, plan)
    connection.store.put(keys.open_run(RUN), b"")
    connection.jobs.add(manifest, RUN)
    connection.ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    connection.jobs.restored()
    place, cost = place_of(manifest, plan, manifest.created_at), cost_of(manifest, plan)
    for chain in header_chains(RUN, manifest.options, plan):
        chain_of(connection.celery, chain, place, cost).apply_async(ignore_result=True)
    return manifest


def survey(connection: Cluster) -> list[RunSurvey]:
    return list(Surveyor(connection).survey([RUN]))


def hurrying(connection: Cluster, now: float) -> Hurrying:
    leading = Leading(connection.redis, 100.0)
    assert leading.take()
    clock = Clock()
    clock.now = now
    return Hurrying(connection, leading, clock)


def waiting(connection: Cluster) -> dict[tuple[str, str], int]:
    """How many messages wait, by queue and by the name under which they take turns."""
    every = lists(connection.redis, [Stage.TRANSCRIBE.queue(lane) for lane in Lane])
    counts = {place: int(connection.redis.llen(key)) for key, place in every.items()}
    return {place: count for place, count in counts.items() if count}


EARLY = {("transcribe.bulk", early(TENANT)): 4}
HURRIED = {("transcribe.interactive", TENANT): 4}


def test_early_work_has_a_list_of_its_own_in_which_the_reconciler_finds_it(
    connection: Cluster, job: Manifest, reconciler: Reconciler, clock: Clock
) -> None:
    assert waiting(connection) == EARLY
    for _ in range(3):
        clock.now += GRACE
        units = {a_unit(index=index) for index in range(4)}
        assert connection.queues.queued(units) == units


def test_it_stays_where_it_is_while_there_is_time(connection: Cluster, job: Manifest) -> None:
    hurrying(connection, job.created_at + 7 * HOUR).hurry(survey(connection), is_crowded=False)
    assert waiting(connection) == EARLY


def test_it_moves_up_once_when_its_slack_is_short(connection: Cluster, job: Manifest) -> None:
    assert job.ready_by is not None
    late = hurrying(connection, job.ready_by - MARGIN_SECONDS)
    for _ in range(3):
        late.hurry(survey(connection), is_crowded=False)
        assert waiting(connection) == EARLY | HURRIED
    assert late.moved_units == 4
    assert queued_units(connection.redis) == {a_unit(index=index) for index in range(4)}


def test_a_unit_that_still_waits_after_ten_minutes_is_issued_once_more(
    connection: Cluster, job: Manifest
) -> None:
    """Its newer message may be lost; the older one hides that."""
    assert job.ready_by is not None
    leading, clock = Leading(connection.redis, 100.0), Clock()
    assert leading.take()
    clock.now = job.ready_by - MARGIN_SECONDS
    late = Hurrying(connection, leading, clock)
    for seconds, moved in ((0.0, 4), (AGAIN_SECONDS - 1, 4), (1.0, 8)):
        clock.now += seconds
        late.hurry(survey(connection), is_crowded=False)
        assert late.moved_units == moved


def test_what_a_worker_has_or_has_done_does_not_move(connection: Cluster, job: Manifest) -> None:
    connection.leases.take(connection.records.key(a_unit(index=0)), "worker:1")
    connection.store.put(connection.records.key(a_unit(index=1)), encode({}))
    connection.ledger.record(a_unit(index=1), Receipt("computed"))
    assert job.ready_by is not None
    late = hurrying(connection, job.ready_by - 1)
    late.hurry(survey(connection), is_crowded=False)
    assert waiting(connection)["transcribe.interactive", TENANT] == 2


def test_a_slow_cluster_moves_it_up_sooner(connection: Cluster, job: Manifest) -> None:
    measured = SpeedName("gpu", Stage.TRANSCRIBE, job.options.model)
    connection.speeds.observe(measured, 1000.0, 10.0)  # 1,200 s take 20,000, six at once
    hurrying(connection, job.created_at + 4 * HOUR).hurry(survey(connection), is_crowded=False)
    assert waiting(connection) == EARLY | HURRIED


def test_a_pass_moves_a_bounded_number_and_the_next_one_goes_on(
    connection: Cluster, job: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNITS", 3)
    assert job.ready_by is not None
    late = hurrying(connection, job.ready_by - 1)
    for moved in (3, 4, 4):
        late.hurry(survey(connection), is_crowded=False)
        assert late.moved_units == moved


def test_when_more_is_due_than_can_be_done_length_alone_decides(
    connection: Cluster, job: Manifest
) -> None:
    hurrying(connection, job.created_at).hurry(survey(connection), is_crowded=True)
    assert waiting(connection) == EARLY | {("transcribe.bulk", TENANT): 4}


def test_a_shadow_stays_behind_all_other_work_when_more_is_due_than_can_be_done(
    connection: Cluster, job: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHADOW_TENANT", TENANT)
    hurrying(connection, job.created_at).hurry(survey(connection), is_crowded=True)
    assert waiting(connection) == EARLY


def test_what_was_never_early_is_not_issued_again(connection: Cluster) -> None:
    manifest, plan = a_manifest(), a_plan(*[300.0] * 3)
    soon = manifest.model_copy(update={"ready_by": manifest.created_at + 900})
    fanned_out(connection, soon, plan)
    before = waiting(connection)
    hurrying(connection, manifest.created_at + 100).hurry(survey(connection), is_crowded=False)
    assert waiting(connection) == before == {("transcribe.interactive", TENANT): 3}


def test_a_pass_of_the_reconciler_moves_late_jobs_up(
    connection: Cluster, reconciler: Reconciler, job: Manifest
) -> None:
    """The job was submitted in 1970, so it is past its time, and waits as any other does."""
    reconciler.reconcile()
    assert Counter(waiting(connection)) == Counter(EARLY | {("transcribe.bulk", TENANT): 4})
