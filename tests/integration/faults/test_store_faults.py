"""A store that fails at every fifth request delays jobs and changes nothing of their results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.runs import keys
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster
from tests.servers.s3_proxy import Kind, Plan, S3Proxy

SHARE = 0.2  # of all requests
PATIENCE_SECONDS = 300.0
CALM, DISTURBED = "calm", "disturbed"  # tenants, who share no artifacts
REFUSALS = (Kind.DENIED, Kind.EXPIRED)
PASSING = [kind for kind in Kind if kind not in REFUSALS]
QUICK = {"model": "fake", "chunk_seconds": 6.0, "aligner": "cross_attention", "language": "en"}
FULL = {
    "model": "fake", "chunk_seconds": 6.0, "aligner": "ctc", "diarize": True, "shard_seconds": 16.0,
}  # fmt: skip


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_endpoint) as proxy:
        yield proxy


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A cluster whose store fails by the plan, and a connection that goes past the proxy."""

    proxy: S3Proxy
    observer: Cluster

    def run(self, tenant: str, paths: Sequence[Path], options: dict[str, Any]) -> list[Job]:
        chosen, cluster = job_options(options), self.observer
        jobs = [
            submit(cluster, upload(cluster, path, tenant), chosen, tenant=tenant) for path in paths
        ]
        last, begun_at = {}, time.monotonic()
        for job in follow(cluster, tenant, [job.id for job in jobs]):
            assert time.monotonic() - begun_at < PATIENCE_SECONDS, f"{job}, {self.proxy}"
            last[job.id] = job
        return [last[job.id] for job in jobs]

    def results(self, jobs: Sequence[Job]) -> list[bytes]:
        return [
            self.observer.store.get(keys.of_run(Run(job.tenant, job.id, 1), keys.RESULT))
            for job in jobs
        ]

    def check(self, paths: Sequence[Path], options: dict[str, Any], plan: Plan) -> None:
        """Run the recordings without faults, and then with the plan's."""
        calm = self.run(CALM, paths, options)
        self.proxy.begin(plan)
        jobs = self.run(DISTURBED, paths, options)
        self.proxy.end()
        print(f"seed {plan.seed}, {', '.join(plan.kinds)}: {self.proxy}")
        assert [job.status for job in (*calm, *jobs)] == ["completed"] * 2 * len(paths)
        assert self.results(jobs) == self.results(calm)
        assert self.proxy.injected.total() >= 5
        assert not list(self.observer.store.list(keys.OPEN))
        assert not list(self.observer.store.list(keys.DEAD_LETTERS))


@pytest.fixture
def disturbance(
    request: pytest.FixtureRequest,
    start_cluster: StartCluster,
    proxy: S3Proxy,
    s3_endpoint: str,
    bucket: str,
) -> Iterator[Disturbance]:
    workers: int = getattr(request, "param", 2)
    cluster = start_cluster(
        workers=workers, store_url=f"s3://{bucket}/scriptorium", s3_endpoint_url=proxy.url
    )
    past = cluster.connection.settings.model_copy(update={"s3_endpoint_url": s3_endpoint})
    observer = open_cluster(past)
    yield Disturbance(proxy, observer)
    observer.close()


def recordings(folder: Path, *seconds: int) -> list[Path]:
    return [
        write_wav(folder / f"{number}.wav", recording(length, seed=70 + number)[0])
        for number, length in enumerate(seconds)
    ]


@pytest.mark.parametrize("disturbance", [1], indirect=True, ids=["one worker"])
def test_jobs_complete_as_ever_while_a_fifth_of_the_store_s_replies_are_faults(
    disturbance: Disturbance, tmp_path: Path
) -> None:
    plan = Plan(20261128, SHARE, PASSING, latency_seconds=0.1, hang_seconds=0.2)
    disturbance.check(recordings(tmp_path, 20), QUICK, plan)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", list(Kind))
def test_no_kind_of_fault_of_the_store_loses_anything(
    disturbance: Disturbance, tmp_path: Path, kind: Kind
) -> None:
    disturbance.check(recordings(tmp_path, 60, 20), FULL, Plan(1, SHARE, [kind]))


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_faults_of_all_kinds_together_lose_nothing(
    disturbance: Disturbance, tmp_path: Path, seed: int
) -> None:
    paths = recordings(tmp_path, 60, 30, 30, 20, 20, 8)
    disturbance.check(paths, FULL, Plan(seed, SHARE))
