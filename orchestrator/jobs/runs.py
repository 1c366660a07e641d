"""Start the runs of a job, cancel them, and retry a job with its next run."""

from __future__ import annotations

import time

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gpu_worker.errors import PermanentError, RedisUnavailable, ScriptoriumError, SourceMissing
from orchestrator.access.quotas import Quota
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.costs import Cost
from orchestrator.cluster.job import TRANSITIONS, Job, Status
from orchestrator.jobs.admission import admit
from orchestrator.jobs.costing import cost_of
from orchestrator.jobs.sources import clip_keys, uploaded_keys
from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.broker import BrokerUnavailable
from tasks.runs import keys
from tasks.runs.canvas import run_canvas
from tasks.runs.manifest import Manifest
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.claims import await_releases, claim
from tasks.state.receipts import Receipt

_SUBMIT_AGAIN = "Submit the file again; what was transcribed and is still there is found."


class IllegalTransition(PermanentError):
    """The job is not in a state in which that can be done."""

    code = "illegal_transition"
    hint = "`scriptorium status JOB` shows where it stands."


def cancel(cluster: Cluster, tenant: str, job: str) -> Job:
    """Cancel a job. Raises UnknownJob, or IllegalTransition once it has ended.

    Its result is the commit point: after a crash behind it the run is canceled all the same.
    """
    current = cluster.job(tenant, job)
    _allow(current, Status.CANCELED, "canceled")
    run = Run(tenant, job, current.run)
    cluster.ended.publish(run, result_record(canceled=True))
    cluster.cancellations.flag(run)
    cluster.settle(run)
    return cluster.job(tenant, job)


def retry(cluster: Cluster, tenant: str, job: str, *, quota: Quota | None = None) -> Job:
    """Start the next run of a job that did not complete; what was computed is kept.

    Operators retry without a quota. Raises UnknownJob, IllegalTransition, QuotaExceeded,
    ClusterFull, RedisUnavailable, BrokerUnavailable or StoreUnavailable, and SourceMissing if the
    audio was deleted by rules of retention.
    """
    current = cluster.job(tenant, job)
    if current.status is Status.COMPLETED:
        raise IllegalTransition(
            f"Job {job} is completed; there is nothing to retry.",
            hint="`scriptorium rerun JOB` computes what its warnings say is missing.",
        )
    _allow(current, Status.QUEUED, "retried")
    try:
        manifest, plan = cluster.records.manifest(tenant, job), cluster.plan(tenant, job)
    except ArtifactMissing as error:  # deleted just now
        raise UnknownJob(f"There is no job {job!r}.") from error
    cost = cost_of(cluster, manifest, plan)
    run = Run(tenant, job, current.run + 1)
    admit(cluster, run, quota, time.time(), cost)
    # The run exists from here on, so that it is taken up if this process dies at the next step.
    cluster.store.put(keys.open_run(run), b"")
    _keep(cluster, run)
    cluster.store.put(keys.of_run(run, "started.json"), encode({"started_at": time.time()}))
    for letter in cluster.store.list(f"{keys.DEAD_LETTERS}{tenant}/{job}/"):
        cluster.store.delete(letter)
    issue(cluster, manifest, run, cost, prepared=plan is not None)
    forget_if_deleted(cluster, run)
    return cluster.job(tenant, job)


def _keep(cluster: Cluster, run: Run) -> None:
    """Keep the job and its contents, or raise UnknownJob or SourceMissing: then there is no run."""
    try:
        await_releases(cluster.store, cluster.leases, run.tenant, [run.job])
        if exists(cluster.store, keys.tombstone(run.tenant, run.job)):
            raise UnknownJob(f"There is no job {run.job!r}.")
        _keep_contents(cluster, run)
    except ScriptoriumError:
        cluster.store.delete(keys.open_run(run))
        cluster.jobs.refuse(run)
        raise


def _keep_contents(cluster: Cluster, run: Run) -> None:
    """Claim again what the run is made of, which rules of retention may have deleted.

    The open marker is there already, so a deletion that begins now sees it; the claim waits for one
    that has begun. Raises SourceMissing or StoreUnavailable.
    """
    tenant, job, store = run.tenant, run.job, cluster.store
    plan, manifest = cluster.plan(tenant, job), cluster.records.manifest(tenant, job)
    needed = uploaded_keys(manifest)  # `prepare` reads these; what is made of them, others
    if plan is not None:
        needed = [keys.pcm(tenant, audio) for audio in dict.fromkeys((plan.audio, *plan.channels))]
        needed += clip_keys(manifest)
    claim(store, cluster.leases, tenant, job, [keys.content(key) for key in needed])
    if not all(exists(store, key) for key in needed):
        raise SourceMissing(f"The audio of job {job} is deleted.", hint=_SUBMIT_AGAIN)


def forget_if_deleted(cluster: Cluster, run: Run) -> None:
    """Take a run that was just indexed out of Redis again, if its job was deleted meanwhile.

    The deletion wrote its tombstone before it looked into Redis, so one of the two sees the other.
    The sweep of tombstones removes what the run has in the store. Raises UnknownJob.
    """
    if exists(cluster.store, keys.tombstone(run.tenant, run.job)):
        cluster.jobs.forget(run.tenant, run.job, run.number)
        cluster.ledger.forget(run)
        raise UnknownJob(f"There is no job {run.job!r}.")


def _allow(job: Job, target: Status, verb: str) -> None:
    if target not in TRANSITIONS[job.status]:
        raise IllegalTransition(f"Job {job.id} is {job.status.value}; it cannot be {verb}.")


def issue(
    cluster: Cluster, manifest: Manifest, run: Run, cost: Cost, *, prepared: bool = False
) -> None:
    """Index a run and send its first message. Raises RedisUnavailable or BrokerUnavailable."""
    try:
        cluster.jobs.add(manifest, run, cost=cost)
        if prepared:
            cluster.ledger.record(
                run.unit(Stage.PREPARE), Receipt("cached", finished_at=time.time())
            )
        run_canvas(cluster.celery, manifest, run, prepared=prepared).apply_async(
            ignore_result=True,  # else this process subscribes to it and keeps the subscription
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.2},
        )
    except (RedisError, OperationalError) as error:
        if cluster.settings.broker_url and isinstance(error, OperationalError):
            raise BrokerUnavailable(
                "RabbitMQ cannot be reached, so the job was not accepted."
            ) from error
        raise RedisUnavailable("Redis cannot be reached, so the job was not accepted.") from error
