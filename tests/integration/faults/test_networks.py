"""Every part on a host of its own: links are cut, both ways or one, and are slow or lossy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from tasks.runs import keys
from tasks.runs.units import Run
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import quick_settings, worker_events
from tests.integration.faults.conftest import Figure
from tests.integration.faults.invariants import assert_nothing_left
from tests.servers.hosts import API, RECONCILER, REDIS, S3_ACCESS, STORE, WORKER, HostedCluster
from tests.servers.network import Quality, why_not

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]
CUT_SECONDS = 20.0  # longer than a client waits for Redis (15 s) or to connect to S3 (10 s)
ANSWER_SECONDS = 30.0  # the API answers within these, also while it is cut off
PATIENCE_SECONDS = 150.0
OPTIONS = {
    "model": "fake-5x", "chunk_seconds": 6.0, "aligner": "none", "language": "en",
}  # fmt: skip
Way = tuple[str, str]

TALKING = tuple(product((WORKER, API, RECONCILER), (REDIS, STORE)))
SILENT = ((WORKER, API), (WORKER, RECONCILER), (API, RECONCILER), (REDIS, STORE))


def back(way: Way) -> Way:
    return way[1], way[0]


CUTS: dict[str, tuple[Way, ...]] = {
    **{f"{a} and {b}": ((a, b), (b, a)) for a, b in TALKING},
    **{f"{a} to {b} alone": ((a, b),) for a, b in TALKING},
    **{f"{b} to {a} alone": ((b, a),) for a, b in TALKING},
    "those that never talk": tuple(way for pair in SILENT for way in (pair, back(pair))),
}
REFUSING = (f"{API} and {REDIS}", f"{API} and {STORE}")
LINKS = {
    "200 ms for a packet and its answer": Quality(delay_seconds=0.1),
    "a fifth of all packets lost": Quality(loss=0.2),
}


@dataclass
class Client:
    """A client of the API at its own speed, which notes each answer and how long it took."""

    url: str
    key: str
    answers: list[tuple[int, float]] = field(default_factory=list)  # status, seconds
    silent: int = 0  # answers of 503 that did not say when to come again

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {self.key}", **request.pop("headers", {})}
        reply = httpx.request(
            method, self.url + path, headers=headers, timeout=300.0, trust_env=False, **request
        )
        self.answers.append((reply.status_code, time.monotonic() - began))
        self.silent += reply.status_code == 503 and "Retry-After" not in reply.headers
        return reply

    def submit(self, path: Path) -> str:
        """Submit until it is accepted, with one key; give the job's id."""
        while True:
            reply = self.ask(
                "POST",
                "/v1/jobs",
                headers={"Idempotency-Key": path.name},
                files={"file": (path.name, path.read_bytes())},
                data={"options": json.dumps(OPTIONS)},
            )
            if reply.status_code == 202:
                return str(reply.json()["id"])
            assert reply.status_code == 503, reply.text
            time.sleep(1.0)

    @property
    def slowest(self) -> float:
        return max(seconds for _, seconds in self.answers)

    def refused(self) -> int:
        return sum(status == 503 for status, _ in self.answers)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedCluster]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in S3_ACCESS.items():
            environment.setenv(name, value)
        with HostedCluster(tmp_path_factory.mktemp("hosts"), quick_settings) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return [
        write_wav(folder / f"{seed}.wav", recording(seconds, seed=seed)[0])
        for seed, seconds in ((80, 36), (81, 12))
    ]


@pytest.fixture(scope="module")
def undisturbed(hosted: HostedCluster, recordings: list[Path]) -> list[bytes]:
    client = Client(hosted.api_url, hosted.make_key("calm"))
    return results(hosted, wait(hosted, "calm", [client.submit(path) for path in recordings]))


def wait(hosted: HostedCluster, tenant: str, jobs: list[str]) -> list[Job]:
    """Wait until the jobs are final, and give them in their order."""
    last, began = {}, time.monotonic()
    for job in follow(hosted.connection, tenant, jobs):
        assert time.monotonic() - began < PATIENCE_SECONDS, f"{job.id} is still {job.status}"
        last[job.id] = job
    return [last[job] for job in jobs]


def results(hosted: HostedCluster, jobs: list[Job]) -> list[bytes]:
    assert [job.status for job in jobs] == ["completed"] * len(jobs)
    store = hosted.connection.store
    return [store.get(keys.of_run(Run(job.tenant, job.id, 1), keys.RESULT)) for job in jobs]


def disturb(
    hosted: HostedCluster,
    recordings: list[Path],
    name: str,
    fault: AbstractContextManager[None],
    seconds: float,
) -> tuple[list[Job], Client, str]:
    """Submit a job, let the fault last while its chunks are decoded, and submit another in it."""
    tenant = "".join(letter if letter.isalnum() else "-" for letter in name)
    client = Client(hosted.api_url, hosted.make_key(tenant))
    watcher = Client(hosted.api_url, client.key)
    first = client.submit(recordings[0])
    begun = time.monotonic()
    while not chunks(hosted, first):
        assert time.monotonic() - begun < PATIENCE_SECONDS
        time.sleep(0.05)
    second: list[str] = []
    sender = Thread(target=lambda: second.append(client.submit(recordings[1])))
    reader = Thread(target=lambda: watcher.ask("GET", f"/v1/jobs/{first}"))
    with fault:
        sender.start()
        reader.start()
        time.sleep(seconds)
        refused_late = time.monotonic()
    sender.join(PATIENCE_SECONDS)
    reader.join(PATIENCE_SECONDS)
    assert second and watcher.answers, "the API did not answer"
    jobs = wait(hosted, tenant, [first, second[0]])
    until_final = time.monotonic() - refused_late
    client.answers += watcher.answers
    client.silent += watcher.silent
    figures = (
        f"{name}: final {until_final:.0f} s after it, the API's slowest answer "
        f"{client.slowest:.1f} s, {client.refused()} answers of 503"
    )
    return jobs, client, figures


def chunks(hosted: HostedCluster, job: str) -> int:
    return sum(line.get("job") == job for line in worker_events(hosted.logs, "unit_ended"))


def check(hosted: HostedCluster, jobs: list[Job], client: Client, undisturbed: list[bytes]) -> None:
    assert results(hosted, jobs) == undisturbed
    assert client.slowest < ANSWER_SECONDS
    assert client.silent == 0
    assert eventually(hosted.api_is_ready)
    assert_nothing_left(hosted.connection, jobs[0].tenant)


@pytest.mark.fault(
    "two of worker, API, reconciler, Redis and store cannot reach each other for 20 s, or one of "
    "them cannot reach the other",
    "every job completes, equal bytes; the API answers, with 503 and Retry-After; nothing is left",
)
@pytest.mark.parametrize("name", CUTS)
def test_jobs_complete_when_two_hosts_were_cut_off_from_each_other(
    hosted: HostedCluster,
    recordings: list[Path],
    undisturbed: list[bytes],
    figure: Figure,
    name: str,
) -> None:
    before, fault = hosted.children(), hosted.network.cut(*CUTS[name])
    jobs, client, figures = disturb(hosted, recordings, name, fault, CUT_SECONDS)
    dead = [program for program, pid in before.items() if hosted.children().get(program) != pid]
    figure(f"{figures}, restarted: {', '.join(dead) or 'none'}")
    if name in REFUSING:
        assert client.refused() > 0  # answered before the cut was over
    check(hosted, jobs, client, undisturbed)


@pytest.mark.fault(
    "all links are slow (200 ms) or lossy (20 %)",
    "every job completes, equal bytes; nothing is left",
)
@pytest.mark.parametrize("name", LINKS)
def test_jobs_complete_over_links_that_are_slow_or_lose_packets(
    hosted: HostedCluster,
    recordings: list[Path],
    undisturbed: list[bytes],
    figure: Figure,
    name: str,
) -> None:
    fault = hosted.network.quality(LINKS[name])
    with fault:
        jobs, client, figures = disturb(hosted, recordings, name, hosted.network.cut(), CUT_SECONDS)
    figure(figures)
    check(hosted, jobs, client, undisturbed)
