"""What a unit costs Redis, and what a job costs the store.

    python -m benchmarks.cluster.unit_costs [--short 6] [--long 3] [--label NAME]

A cluster with a real Redis, a real S3 server, one GPU worker with the engine `fake` and the CPU
worker. Redis counts the commands (INFO commandstats); what the idle cluster sends meanwhile is
subtracted. MONITOR, in a second round of the same jobs, tells what was sent by a client from what
a script did inside Redis, and which kind of key it was about.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from benchmarks.cluster.request_counts import TENANT, Requests, Spy, calls, processor_seconds
from benchmarks.machine import describe_machine, print_machine
from config.logging import configure_logging
from config.settings import Settings
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.speech import recording, write_wav

RESULTS = Path(__file__).parents[1] / "results" / "unit_costs.json"
SETTLE_SECONDS = 4.0  # until the reconciler has seen the end of the last job
SHORT: dict[str, Any] = {"seconds": 60.0, "options": {}}
LONG: dict[str, Any] = {
    "seconds": 119.0,
    "options": {"chunk_seconds": 6.0, "diarize": True, "shard_seconds": 16.0},
}


class Meter:
    """The differences of all counters since it was made, less what an idle cluster does."""

    def __init__(self, redis: Redis, requests: Requests, idle: Mapping[str, Any] | None = None):
        self._redis, self._requests, self._idle = redis, requests, idle
        self._calls, self._asked = calls(redis), Counter(requests.counts)
        self._cpu, self._began = processor_seconds(redis), time.monotonic()

    def read(self) -> dict[str, Any]:
        """Return commands, requests to the store and Redis' processor seconds."""
        seconds = time.monotonic() - self._began
        found: dict[str, Any] = {
            "seconds": seconds,
            "redis_cpu": processor_seconds(self._redis) - self._cpu,
            "commands": dict(calls(self._redis) - self._calls),
            "requests": dict(self._requests.counts - self._asked),
        }
        if self._idle:
            share = seconds / self._idle["seconds"]
            found["redis_cpu"] -= share * self._idle["redis_cpu"]
            for what in ("commands", "requests"):
                at_rest = self._idle[what]
                found[what] = {
                    name: count - share * at_rest.get(name, 0)
                    for name, count in found[what].items()
                }
        return found


def connections(cluster: LocalCluster, port: int) -> dict[str, int]:
    """Return the connections to Redis of each worker, with its children."""
    found = {}
    for name, pid in cluster.supervisor.children().items():
        root = psutil.Process(pid)
        found[name.partition("@")[0]] = sum(
            1
            for process in (root, *root.children(recursive=True))
            for link in process.net_connections("tcp")
            if link.raddr and link.raddr.port == port
        )
    return found


class Bench:
    """A running cluster and its meters."""

    def __init__(self, cluster: LocalCluster, requests: Requests, home: Path) -> None:
        self.cluster, self.requests, self.home = cluster, requests, home
        self.redis: Redis = cluster.services.redis
        self._made = 0

    def run(self, kind: Mapping[str, Any], count: int) -> tuple[int, int]:
        """Do so many jobs of one kind, all of new audio; return their chunks and their units."""
        files = []
        for _ in range(count):
            self._made += 1
            sound = recording(kind["seconds"], seed=self._made)[0]
            files.append(write_wav(self.home / f"{self._made}.wav", sound))
        options = job_options({"model": "fake", "aligner": "ctc", **kind["options"]})
        services = self.cluster.services
        jobs = [
            submit(services, upload(services, file, TENANT), options, tenant=TENANT).id
            for file in files
        ]
        ended = {job.id: job for job in follow(services, TENANT, jobs)}
        assert all(job.status.value == "completed" for job in ended.values()), ended
        time.sleep(SETTLE_SECONDS)
        units = sum(
            len(services.ledger.read(Run(TENANT, job.id, job.run))) for job in ended.values()
        )
        return sum(job.chunks.total for job in ended.values()), units

    def measure(self, kind: Mapping[str, Any], count: int, idle: Mapping[str, Any]) -> Any:
        """Return what one job of a kind costs, and one unit of it."""
        meter = Meter(self.redis, self.requests, idle)
        chunks, units = self.run(kind, count)
        found = meter.read()
        with Spy(self.redis) as spy:
            began = time.monotonic()
            self.run(kind, count)
            share = (time.monotonic() - began) / idle["seconds"]
        for name, calls_at_rest in idle["sent"].items():
            spy.sent[name] -= share * calls_at_rest
        return {
            "chunks": chunks / count,
            "units": units / count,
            "commands_a_unit": round(sum(found["commands"].values()) / units, 1),
            "redis_cpu_microseconds_a_unit": round(1e6 * found["redis_cpu"] / units),
            "requests_a_job": round(sum(found["requests"].values()) / count, 1),
            "commands_a_unit_by_name": per(found["commands"], units),
            "requests_a_job_by_kind": per(found["requests"], count),
            "sent_a_unit": round(sum(spy.sent.values()) / units, 1),
            "sent_a_unit_by_kind_of_key": per(spy.sent, units),
        }


def per(counts: Mapping[str, float], number: int) -> dict[str, float]:
    """Return the counts divided, the largest first, without the tiny ones."""
    each = {name: round(count / number, 2) for name, count in counts.items()}
    rows = sorted(each.items(), key=lambda row: -row[1])
    return {name: value for name, value in rows if value >= 0.05}


def measure(home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Start all, warm up, and measure."""
    requests = Requests()
    try:
        from tasks.artifacts.s3 import s3_client

        s3_client(requests.url).create_bucket(Bucket="bucket")
        settings = Settings(
            home=home / "home",
            store_url="s3://bucket/store",
            s3_endpoint_url=requests.url,
            allowed_models="fake",
            self_test=False,
        )
        with LocalCluster(settings, workers=1) as cluster:
            bench = Bench(cluster, requests, home)
            for kind in (SHORT, LONG):
                bench.run(kind, 1)
            meter = Meter(bench.redis, requests)
            time.sleep(given.idle_seconds)
            idle = meter.read()
            with Spy(bench.redis) as spy:
                time.sleep(idle["seconds"])
            idle["sent"] = spy.sent
            found: dict[str, Any] = {
                "idle_commands_a_second": round(sum(idle["commands"].values()) / idle["seconds"]),
                "idle_requests_a_minute": round(
                    60 * sum(idle["requests"].values()) / idle["seconds"], 1
                ),
                "short": bench.measure(SHORT, given.short, idle),
                "long": bench.measure(LONG, given.long, idle),
            }
            port = bench.redis.connection_pool.connection_kwargs["port"]
            found["connections"] = connections(cluster, port)
            return found
    finally:
        requests.stop()


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", type=int, default=6, help="jobs of 60 s")
    parser.add_argument("--long", type=int, default=3, help="jobs of 20 chunks, with speakers")
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--label", default="now", help="under which the file keeps the figures")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    configure_logging("WARNING", "text")
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-costs-") as name:
        found = measure(Path(name), given)
    print(json.dumps(found, indent=1))
    written = json.loads(given.json.read_text()) if given.json.exists() else {}
    written |= {"machine": describe_machine(), given.label: found}
    given.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
