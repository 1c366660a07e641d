"""What tenants used in a day of mixed jobs, kills and retries: the receipts, to the second.

The receipts are in the artifacts. This test reads every one of them by itself, so that it shares
nothing with what it checks.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.job import Job, Status
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.following import follow
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.usage.accounts import Account, Accounts
from orchestrator.usage.packing import Packing
from orchestrator.usage.reading import UsageReader
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import usage_keys
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENCE_SECONDS, ClusterUnderTest
from tests.integration.conftest import StartCluster

TENANTS = ("acme", "bolt", "carol")
OPTIONS: dict[str, Any] = {
    "model": "fake-20x", "chunk_seconds": 6.0, "language": "en", "aligner": "ctc",
    "diarize": True, "shard_seconds": 16.0,
}  # fmt: skip
Sums = dict[tuple[str, str], dict[str, float]]  # of a tenant and a stage


class Day:
    """Jobs of several tenants on one cluster."""

    def __init__(self, cluster: ClusterUnderTest, folder: Path) -> None:
        self.cluster, self._folder = cluster, folder

    @property
    def store(self) -> ArtifactStore:
        return self.cluster.connection.store

    def speech(self, seed: int, seconds: int) -> Path:
        path = self._folder / f"{seed}-{seconds}.wav"
        return path if path.exists() else write_wav(path, recording(seconds, seed=seed)[0])

    def submit(self, tenant: str, path: Path, **changes: Any) -> Job:
        source, options = upload(self.cluster.connection, path, tenant), OPTIONS | changes
        return submit(self.cluster.connection, source, job_options(options), tenant=tenant)

    def wait(self, tenant: str, *jobs: Job) -> list[Status]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        ended: dict[str, Status] = {}
        for job in follow(self.cluster.connection, tenant, [job.id for job in jobs]):
            assert time.monotonic() < deadline, f"{job.id} is still {job.status}"
            ended[job.id] = job.status
        return [ended[job.id] for job in jobs]

    def computed(self, job: Job) -> int:
        """How many of a job's units have ended."""
        return len(self.cluster.events("unit_ended", job))

    def counted(self) -> Accounts:
        now = datetime.now(UTC).date()
        first, last = now - timedelta(days=1), now + timedelta(days=1)
        return UsageReader(self.store).accounts(first.isoformat(), last.isoformat())


def receipts(store: ArtifactStore) -> dict[str, dict[str, Any]]:
    """Every receipt in the store, by the unit that it names: one that were there twice would fail.

    A plan is copied to a rerun with its receipt; there is none in this test.
    """
    found: dict[str, dict[str, Any]] = {}
    for key in store.list("tenants/"):
        if not key.endswith(".json") or key.endswith("result.json"):
            continue
        try:
            data = json.loads(store.get(key))
        except ArtifactMissing:  # deleted just now
            continue
        receipt = data if key.endswith(".receipt.json") else _inside(data)
        if receipt is None:
            continue
        unit = receipt["detail"]["unit"]
        assert unit not in found, unit
        found[unit] = receipt
    return found


def _inside(data: Any) -> dict[str, Any] | None:
    found = data.get("receipt") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else None


def sums_of_receipts(found: dict[str, dict[str, Any]]) -> Sums:
    sums: Sums = defaultdict(lambda: defaultdict(float))
    for unit, receipt in found.items():
        tenant, _, _, stage, _ = unit.split("/")
        own = sums[tenant, stage]
        own["units"] += 1
        for name in ("device_seconds", "retries", "stored_bytes"):
            own[name] += receipt["use"][name]
        if stage in (Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS):
            own["audio_seconds"] += receipt["audio_seconds"]
    return sums


def sums_of_accounts(accounts: Accounts) -> Sums:
    sums: Sums = defaultdict(lambda: defaultdict(float))
    for (_, tenant), account in accounts.items():
        for (stage, device), figures in account.figures.items():
            if not figures.units:
                assert device == "" and figures.device_seconds == 0.0, "a cache hit costs nothing"
                continue
            own = sums[tenant, stage]
            for name in ("units", "device_seconds", "retries", "stored_bytes"):
                own[name] += getattr(figures, name)
            if stage in (Stage.TRANSCRIBE, Stage.ALIGN, Stage.EMBED_SPEAKERS):
                own["audio_seconds"] += figures.audio_seconds
    return sums


def of_tenants(accounts: Accounts) -> dict[str, Account]:
    found: dict[str, Account] = defaultdict(Account)
    for (_, tenant), account in accounts.items():
        found[tenant].add(account.runs, account.figures)
    return found


def hits(account: Account) -> int:
    return sum(figures.cached for figures in account.figures.values())


@pytest.mark.fault(
    "SIGKILL of workers, a wiped Redis, cancels, retries, deletions, second submissions",
    "what tenants used equals the receipts of all artifacts, nothing twice",
)
def test_usage_of_a_day_of_mixed_jobs_with_kills_and_retries_equals_the_receipts(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2)
    connection, dice = cluster.connection, random.Random(20261129)
    day = Day(cluster, tmp_path)

    # Each tenant its own, and one file that all have: tenants share nothing.
    shared = day.speech(seed=7, seconds=40)
    first = {it: [day.submit(it, day.speech(index, 60)), day.submit(it, shared)]
             for index, it in enumerate(TENANTS)}  # fmt: skip
    canceled = day.submit("acme", day.speech(seed=50, seconds=120))
    doomed = day.submit("bolt", day.speech(seed=51, seconds=120))
    twin = day.submit("carol", shared, batch_size=2)  # at the same time as the same file

    cluster.wait_until(lambda: day.computed(canceled) >= 4)
    cluster.kill_gpu_worker(dice)
    cancel(connection, "acme", canceled.id)
    again = retry(connection, "acme", canceled.id)
    cluster.wait_until(lambda: day.computed(doomed) >= 4)
    cluster.kill_random_worker(dice)
    of_doomed = {
        unit: receipt for unit, receipt in receipts(day.store).items() if f"/{doomed.id}/" in unit
    }
    connection.redis.flushall()
    for _ in range(2):
        time.sleep(3.0)
        cluster.kill_gpu_worker(dice)
    for tenant, jobs in first.items():
        assert set(day.wait(tenant, *jobs)) == {Status.COMPLETED}
    assert day.wait("acme", again) == [Status.COMPLETED]
    assert day.wait("carol", twin) == [Status.COMPLETED]
    assert day.wait("bolt", doomed) == [Status.COMPLETED]
    second_time = [day.submit(it, shared) for it in TENANTS]
    for tenant, job in zip(TENANTS, second_time, strict=True):
        assert day.wait(tenant, job) == [Status.COMPLETED]

    # A job that is deleted takes its receipts along; what it used stays.
    kept = receipts(day.store)
    assert of_doomed.items() <= kept.items()
    delete_job(connection, "bolt", doomed.id)

    def all_counted() -> bool:
        marked = [*day.store.list(usage_keys.UNCOUNTED), *day.store.list("open/")]
        return not marked and not any(f"/{doomed.id}/" in it for it in receipts(day.store))

    cluster.wait_until(all_counted)
    assert receipts(day.store).items() <= kept.items()  # nothing was computed meanwhile
    accounts = day.counted()
    expected, found = sums_of_receipts(kept), sums_of_accounts(accounts)
    assert found.keys() == expected.keys()
    for place, sums in expected.items():
        assert found[place] == pytest.approx(sums, abs=1e-6), place
    whole = sum(sums["device_seconds"] for sums in expected.values())
    tenants = of_tenants(accounts)
    assert {it: account.runs for it, account in tenants.items()} == {
        "acme": 5, "bolt": 4, "carol": 4,
    }  # fmt: skip
    assert all(hits(account) > 0 for account in tenants.values())

    # Without Redis, and in packs: the same.
    connection.redis.flushall()
    assert day.counted() == accounts
    now = time.time() + 2 * 24 * 3600.0
    for _ in Packing(day.store, UsageReader(day.store), clock=lambda: now).pack():
        pass
    assert list(day.store.list(usage_keys.RUNS)) == []
    assert day.counted() == accounts
    retried = sum(sums["retries"] for sums in expected.values())
    print(f"\n{len(kept)} receipts, {whole:.4f} device seconds, {retried:.0f} retries, 4 kills")
    for (tenant, stage), sums in sorted(found.items()):
        print(f"  {tenant:6} {stage:15} {sums['units']:3.0f} {sums['device_seconds']:9.4f} s")


def test_the_receipts_of_a_run_that_is_canceled_and_not_retried_are_counted(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(workers=2)
    day = Day(cluster, tmp_path)
    job = day.submit("acme", day.speech(seed=60, seconds=120))
    cluster.wait_until(lambda: day.computed(job) >= 5)
    cancel(cluster.connection, "acme", job.id)
    cluster.connection.redis.flushall()  # and with it the flag that stops its units
    run = Run("acme", job.id, 1)
    cluster.wait_until(lambda: day.store.size(usage_keys.used(run)) is not None)
    expected, found = sums_of_receipts(receipts(day.store)), sums_of_accounts(day.counted())
    assert found.keys() == expected.keys() and len(expected) >= 2
    for place, sums in expected.items():
        assert found[place] == pytest.approx(sums, abs=1e-6), place
    cluster.wait_until(lambda: not list(day.store.list(usage_keys.UNCOUNTED)))
