"""The leader makes the shadows that are due, while there is room, and removes orphans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from structlog.testing import capture_logs

from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.shadows import DUE, MADE, SHADOW_TENANT, shadow_job
from orchestrator.jobs import shadow
from orchestrator.reconciler.leading import Leading
from orchestrator.reconciler.shadowing import KEPT_SECONDS, Shadowing
from tasks.artifacts import exists
from tasks.runs import keys
from tasks.runs.units import created_at
from tests.inputs.examples import TENANT, a_run
from tests.unit.orchestrator.jobs.test_shadow import SETTING, ended


@pytest.fixture
def cluster(settings: Settings, redis: Redis) -> Iterator[Cluster]:
    own = {"store_url": f"memory://{uuid4().hex}", "shadow": SETTING}
    opened = open_cluster(settings.model_copy(update=own))
    opened.jobs.restored()
    yield opened
    opened.close()


def duties(cluster: Cluster, **settings: Any) -> Shadowing:
    leading = Leading(cluster.redis, 100.0)
    assert leading.take()
    changed = replace(cluster, settings=cluster.settings.model_copy(update=settings))
    return Shadowing(changed, leading)


def shadows(cluster: Cluster) -> set[str]:
    return {key.split("/")[3] for key in cluster.store.list(keys.jobs(SHADOW_TENANT))}


def due(cluster: Cluster) -> int:
    return len(list(cluster.store.list(DUE)))


def test_each_due_shadow_is_made_once(cluster: Cluster) -> None:
    jobs = [ended(cluster) for _ in range(3)]
    shadowing = duties(cluster)
    shadowing.make()
    assert shadows(cluster) == {shadow_job(TENANT, job.id) for job in jobs} and due(cluster) == 0
    cluster.store.put(DUE + a_run(job=jobs[0].id).name, b"")  # the mark of a process that died
    shadowing.make()
    assert len(shadows(cluster)) == 3 and due(cluster) == 0
    assert len(cluster.jobs.open_runs()) == 3


def test_nothing_is_made_without_the_setting_or_after_a_wipe(cluster: Cluster) -> None:
    ended(cluster)
    duties(cluster, shadow={}).make()
    cluster.redis.flushall()
    duties(cluster).make()
    assert shadows(cluster) == set() and due(cluster) == 1
    cluster.redis.flushall()
    cluster.jobs.restored()
    shadowing = duties(cluster, shadow={"share": 1.0, "model": "none-such"})
    with capture_logs() as lines:
        shadowing.make()
        shadowing.make()
    assert [line["event"] for line in lines] == ["shadow_not_valid"]
    assert shadows(cluster) == set() and due(cluster) == 1


def test_while_there_is_no_room_shadows_wait_and_old_ones_are_given_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_OPEN", 2)
    jobs = [ended(cluster) for _ in range(3)]
    shadowing = duties(cluster)
    shadowing.make()
    assert len(shadows(cluster)) == 2 and due(cluster) == 1
    shadowing._clock = lambda: (created_at(jobs[0].id) or 0.0) + KEPT_SECONDS + 60.0
    shadowing.make()
    assert len(shadows(cluster)) == 2 and due(cluster) == 0


def test_a_shadow_without_an_entry_is_an_orphan(cluster: Cluster) -> None:
    gone, kept = ended(cluster), ended(cluster)
    shadowing = duties(cluster)
    shadowing.make()
    cluster.store.delete(f"{MADE}{TENANT}/{gone.id}/1")
    shadowing.remove_orphans()
    assert not exists(cluster.store, keys.manifest(SHADOW_TENANT, shadow_job(TENANT, gone.id)))
    assert exists(cluster.store, keys.manifest(SHADOW_TENANT, shadow_job(TENANT, kept.id)))
