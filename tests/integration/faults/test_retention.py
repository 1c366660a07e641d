"""Rules of retention with ages of seconds, on a real cluster: under load, with kills and a wipe."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.jobs.retention import DAY_SECONDS
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.faults.conftest import Figure
from tests.integration.faults.keeping import KEEPER, OPTIONS, Tenants
from tests.integration.faults.own_reconciler import NoReconciler, ReconcilerProcess

AGES = {  # in seconds
    "acme": {"audio": 3.0, "checkpoints": 4.0, "source": 5.0, "transcripts": 6.0},
    "bolt": {"transcripts": 4.0},
    "carol": {"audio": 3.0},
}
QUICK: dict[str, Any] = {
    "lease_seconds": 2.0,
    "heartbeat_seconds": 0.5,
    "audit_seconds": 1.0,
    "retention": {
        tenant: {kind: seconds / DAY_SECONDS for kind, seconds in rules.items()}
        for tenant, rules in AGES.items()
    },
}


def storm(
    cluster: ClusterUnderTest, keeper: ReconcilerProcess, tenants: Tenants,
    dice: random.Random, seconds: float, kills: int,
) -> None:  # fmt: skip
    """Kill and wipe at moments that the dice give, while the tenants go on."""
    began = time.monotonic()
    what = [KEEPER, "worker", *(dice.choice([KEEPER, "worker"]) for _ in range(kills - 2))]
    plan = sorted((dice.uniform(0.1, 0.9) * seconds, name) for name in (*what, "wipe"))
    while time.monotonic() - began < seconds:
        tenants.step()
        time.sleep(dice.uniform(0.0, 0.1))
        while plan and time.monotonic() - began > plan[0][0]:
            _, name = plan.pop(0)
            if name == "wipe":
                cluster.connection.redis.flushall()
            elif name == KEEPER:
                keeper.kill(looks=lambda: tenants.killed(KEEPER))
            elif cluster.local.supervisor.children():
                tenants.killed(cluster.kill_random_worker(dice))
    assert not plan


def retained(
    start_cluster: StartCluster, folder: Path, seed: int, seconds: float, kills: int, collects: bool
) -> str:
    """Make the storm, check all that is promised, and return the figures."""
    dice, cluster = random.Random(seed), start_cluster(workers=2, **QUICK)
    keeper = ReconcilerProcess(cluster)
    try:
        paths = [
            write_wav(folder / f"{number}.wav", recording(12, seed=number)[0])
            for number in range(5)
        ]
        calm = [cluster.submit(path, **OPTIONS) for path in paths]  # of a tenant without rules
        for job in calm:
            cluster.wait(job)
        files = {
            path: cluster.result(job)["transcript"]["segments"]
            for path, job in zip(paths, calm, strict=True)
        }
        assert all(files.values())
        tenants = Tenants(cluster, dice, files, tuple(AGES), collects=collects)
        storm(cluster, keeper, tenants, dice, seconds, kills)
        after = time.monotonic()
        assert eventually(tenants.settled, within=120.0), tenants.living()
        assert eventually(lambda: not list(tenants.due()), within=60.0), list(tenants.due())
        after = time.monotonic() - after
        assert tenants.settled()
        tenants.assert_held_are_whole()
        for path, job in zip(paths, calm, strict=True):
            assert cluster.result(job)["transcript"]["segments"] == files[path]
            assert cluster.connection.job(TENANT, job.id).status == "completed"
    finally:
        keeper.end()
    gone = [it for it in tenants.promises if it.is_gone]
    seen = sum(it.was_whole for it in gone)
    assert gone and seen
    return (
        f"seed {seed}: {len(tenants.promises)} jobs and {len(tenants.collections)} collections in "
        f"{seconds:.0f} s, {len(gone)} jobs gone by rule "
        f"({seen} of them seen whole), {sum(it.is_deleted for it in tenants.promises)} deleted, "
        f"{sum(it.is_held for it in tenants.promises)} held, refused {tenants.tally.refused}, "
        f"killed {tenants.tally.kills}, all done {after:.0f} s after the load"
    )


@pytest.fixture(autouse=True)
def only_the_process_reconciles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.local.cluster.Reconciler", NoReconciler)


@pytest.mark.fault(
    "kill -9 of workers and the reconciler and a wiped Redis while rules of retention run",
    "nothing that is needed goes, nothing that is due stays, held jobs are whole",
)
def test_rules_run_beside_load_kills_and_a_wipe(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure
) -> None:
    figure(retained(start_cluster, tmp_path, seed=1, seconds=10.0, kills=3, collects=False))


@pytest.mark.fault(
    "kill -9 of workers and the reconciler and a wiped Redis while rules of retention run, longer",
    "nothing that is needed goes, nothing that is due stays, held jobs are whole",
)
@pytest.mark.heavy
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_rules_run_beside_a_longer_storm(
    start_cluster: StartCluster, tmp_path: Path, figure: Figure, seed: int
) -> None:
    figure(retained(start_cluster, tmp_path, seed=seed, seconds=60.0, kills=12, collects=True))
