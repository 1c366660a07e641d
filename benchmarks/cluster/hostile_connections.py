"""How 20 clients with a key fare beside 2,000 hostile connections without one.

    python -m benchmarks.cluster.hostile_connections [--seconds 60] [--connections 2000]
                                                     [--to benchmarks/results/FILE.json]

One process of the API on a core of its own, with a Redis and a store of its own and the usual 1,024
files. The clients list jobs and announce uploads, some four times a second each. The hostile
connections come from 20 addresses and from another process, which has a low priority because it
stands for other machines: unfinished heads, large headers, slow bodies, silence, wrong keys and
many requests at once. One that is closed is opened again a second later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from pydantic import SecretStr

from benchmarks.machine import describe_machine, resident_mb
from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs.uploads import submitted
from orchestrator.local.ports import free_port
from orchestrator.local.redis_server import RedisServer

KEY = "a-key-of-the-benchmark"
CLIENTS = 20
PAUSE_SECONDS = 0.25  # between two requests of a client
OWN_CORE = (
    0  # of the API; clients, attackers and Redis stand for other machines and share the others
)
FILES = 1024  # that the process may open when it starts: the default of most systems
PATIENCE_SECONDS = 10.0  # of a client with one request


@dataclass
class Seen:
    """What the clients saw in one phase."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    uploads: list[str] = field(default_factory=list)  # announced
    megabytes: float = 0.0  # the most that the API held
    processor_seconds: float = 0.0  # of the API

    def to_json(self) -> dict[str, Any]:
        """Return the figures for the result."""
        ranks = sorted(self.seconds)
        return {
            "requests": len(ranks),
            "statuses": dict(self.statuses),
            "p50_milliseconds": round(ranks[len(ranks) // 2] * 1000, 1),
            "p95_milliseconds": round(ranks[int(len(ranks) * 0.95)] * 1000, 1),
            "longest_milliseconds": round(ranks[-1] * 1000, 1),
            "peak_megabytes": round(self.megabytes, 1),
            "processor_seconds": round(self.processor_seconds, 1),
        }


async def client(session: aiohttp.ClientSession, url: str, until: float, seen: Seen) -> None:
    """Ask in turn for the list of jobs and for an upload, until that time."""
    number = 0
    while time.monotonic() < until:
        number += 1
        began = time.monotonic()
        try:
            if number % 2:
                reply = await session.get(f"{url}/v1/jobs")
            else:
                reply = await session.post(f"{url}/v1/uploads", json={"name": "a", "size": 1})
            async with reply:
                answer = await reply.json()
            if reply.status == 201:
                seen.uploads.append(answer["id"])
            seen.statuses[str(reply.status)] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.statuses[type(error).__name__] += 1
        seen.seconds.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)


async def phase(url: str, pid: int, seconds: float) -> Seen:
    """Let the clients ask for so long; each opens a new connection now and then."""
    seen, until = Seen(), time.monotonic() + seconds
    process = psutil.Process(pid)
    used = sum(process.cpu_times()[:2])

    async def weigh() -> None:
        while time.monotonic() < until:
            seen.megabytes = max(seen.megabytes, resident_mb(pid))
            await asyncio.sleep(0.2)

    async with aiohttp.ClientSession(
        headers={"X-API-Key": KEY},
        timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3.0),
    ) as session:
        await asyncio.gather(weigh(), *(client(session, url, until, seen) for _ in range(CLIENTS)))
    seen.processor_seconds = sum(process.cpu_times()[:2]) - used
    return seen


@contextmanager
def serving(directory: Path, redis_url: str) -> Iterator[tuple[int, int]]:
    """One process of the API; yields its port and process id."""
    port = free_port("127.0.0.1", 0)
    environment = os.environ | {
        "SCRIPTORIUM_REDIS_URL": redis_url,
        "SCRIPTORIUM_STORE_URL": (directory / "store").as_uri(),
        "SCRIPTORIUM_HOME": str(directory),
        "SCRIPTORIUM_API_KEY": KEY,
        "SCRIPTORIUM_PENDING_UPLOADS": "100000",  # the clients submit theirs after each phase only
        "SCRIPTORIUM_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "orchestrator.cli", "serve", "--port", str(port)]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def begin() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))
        os.sched_setaffinity(0, {OWN_CORE})

    with (directory / "api.log").open("wb") as log:
        api = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=environment,
            preexec_fn=begin,
        )
    try:
        yield port, api.pid
    finally:
        api.kill()
        api.wait()


async def measure(
    cluster: Cluster, port: int, pid: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure the clients alone, beside the hostile connections, and alone again."""
    url = f"http://127.0.0.1:{port}"

    async def measured(seconds: float) -> dict[str, Any]:
        seen = await phase(url, pid, seconds)
        for upload in seen.uploads:  # so that no phase has more of them to count than another
            submitted(cluster, cluster.settings.tenant, upload)
        return seen.to_json()

    async with aiohttp.ClientSession() as session:
        for _ in range(300):
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz"):
                    break
            await asyncio.sleep(0.2)
    await measured(3.0)  # the first requests are slow
    found = {"alone": await measured(arguments.seconds / 2)}
    attackers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.cluster.attackers"),
        *(str(port), str(arguments.connections)),
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(5)
    found["beside_hostile"] = await measured(arguments.seconds)
    attackers.terminate()
    closed, _ = await attackers.communicate()
    found["hostile_connections_closed"] = json.loads(closed or b"{}")
    await asyncio.sleep(2)
    found["alone_again"] = await measured(arguments.seconds / 2)
    alone = max(found[name]["p95_milliseconds"] for name in ("alone", "alone_again"))
    found["p95_ratio"] = round(found["beside_hostile"]["p95_milliseconds"] / alone, 2)
    return found


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--to", type=Path)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {OWN_CORE})
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        redis = RedisServer(directory)
        redis.start()
        try:
            values = Settings(
                redis_url=SecretStr(redis.url), store_url=(directory / "store").as_uri()
            )
            with (
                serving(directory, redis.url) as (port, pid),
                closing(open_cluster(values)) as cluster,
            ):
                figures = asyncio.run(measure(cluster, port, pid, arguments))
        finally:
            redis.stop()
    result = {
        "machine": describe_machine(),
        "clients": CLIENTS,
        "connections": arguments.connections,
        "seconds": arguments.seconds,
        **figures,
    }
    print(json.dumps(result, indent=2))
    if arguments.to:
        arguments.to.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
