"""How long a collection of many lines takes to accept, to make jobs of, and to look at.

    python -m benchmarks.cluster.collection_progress [--lines 28000]

A real Redis and a directory; no workers, so the jobs are ended by writing to the index. The
commands that one look sends are counted by Redis itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.machine import print_machine
from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Summary
from orchestrator.collections import control
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.lists import read_list
from orchestrator.local.redis_server import RedisServer
from orchestrator.reconciler.collecting import Collecting
from orchestrator.reconciler.leading import Leading

OPTIONS = {"model": "fake", "language": "en"}
ERROR = {"type": "permanent", "code": "unreadable_audio", "message": "No.", "hint": "None."}
TENANT = "default"
FAILING = 25  # of so many ended jobs one has failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=28_000)
    count = parser.parse_args().lines
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-collection-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        settings = Settings(
            redis_url=SecretStr(server.url),
            store_url=Path(folder, "store").as_uri(),
            home=Path(folder, "home"),
            source_buckets="calls",
            allowed_models="fake",
            jobs_in_flight=2 * count,
            max_open_jobs=2 * count,
        )
        cluster = open_cluster(settings)
        try:
            measure(cluster, count)
        finally:
            cluster.close()
            server.stop()


def measure(cluster: Cluster, count: int) -> None:
    """Print the seconds of each step."""
    text = "\n".join(f"s3://calls/{number}.wav" for number in range(count)).encode()
    began = time.monotonic()
    lines = read_list(text, "list.csv", OPTIONS)
    name = accept(cluster, TENANT, Asked(name="list", options=OPTIONS), lines).id
    print(f"read and accepted: {count} lines, {time.monotonic() - began:.2f} s")
    leading = Leading(cluster.redis, 1000.0)
    leading.take()
    cluster.jobs.restored()  # as the audit says of a new Redis
    began = time.monotonic()
    Collecting(cluster, leading).go_on()
    seconds = time.monotonic() - began
    print(f"jobs made: {seconds:.1f} s, {count / seconds:.0f} a second")
    look(cluster, name, "all are open")
    for number, run in enumerate(cluster.jobs.open_runs()):
        if number % 2:
            is_bad = number // 2 % FAILING == 0
            cluster.jobs.close(run, Summary(error=ERROR if is_bad else None))
    look(cluster, name, "half have ended")
    began = time.monotonic()
    bad, _ = control.lines_of(cluster, TENANT, name, ("failed",), 100)
    print(f"{len(bad)} failed lines named: {(time.monotonic() - began) * 1000:.0f} ms")
    for key in cluster.redis.scan_iter(f"scriptorium:collection:{TENANT}/{name}*"):
        cluster.redis.delete(key)
    look(cluster, name, "Redis has lost its lines")


def look(cluster: Cluster, name: str, label: str) -> None:
    """Print how long it takes to show the collection, and the requests that Redis gets."""
    cluster.redis.config_resetstat()
    began = time.monotonic()
    counts = control.show(cluster, TENANT, name)["counts"]
    seconds = time.monotonic() - began
    stats: Any = cluster.redis.info("commandstats")
    calls = {key.removeprefix("cmdstat_"): it["calls"] for key, it in stats.items()}
    known = {key: number for key, number in counts.items() if number}
    print(f"shown, {label}: {seconds * 1000:.0f} ms, {calls.get('evalsha')} scripts, {known}")


if __name__ == "__main__":
    main()
