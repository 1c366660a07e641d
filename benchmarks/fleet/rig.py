"""A cluster with as many workers as two cores carry: what they ask of Redis, and what it can feed.

    python -m benchmarks.fleet.rig [--workers 100] [--unit-seconds 10] [--seconds 60]

Real Redis, API, reconciler and CPU worker, each a process of its own, and a directory as store. The
GPU workers are real ones too (`rig_processes.py`), with real messages, leases, receipts and
artifacts; only their engine sleeps, for `--unit-seconds` a unit, one after the other as a GPU
does. First nothing waits: that is what a worker costs Redis when it is idle. Then jobs are
submitted as fast as the workers do them, and the API is asked for lists meanwhile. From Redis'
processor time a unit (c) and an idle worker's a second (p) follows how many GPUs one Redis can
feed with units of T seconds, if it may be busy for a share of its core:

    units a second = share / c        GPUs = share / (c / T + p)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

from benchmarks.cluster.uploads import put_upload
from benchmarks.fleet.load import CHUNK_SECONDS, Submitter, until_ended
from benchmarks.fleet.rig_cluster import Rig, Window
from benchmarks.machine import describe_machine, print_machine
from tests.inputs.speech import SAMPLE_RATE, recording, write_wav

CHUNKS = 20  # of a job
LIST_SECONDS = 0.5  # between two lists that are asked for
SHARE = 0.7  # of a core that Redis may use
UNIT_SECONDS = (5.0, 10.0, 30.0)  # of device time, for which the number of GPUs is worked out
RESULTS = Path(__file__).parents[1] / "results" / "rig.json"


class Asker:
    """Submits jobs and asks for lists by the clock, and notes how long each took."""

    def __init__(self, rig: Rig, upload: str, model: str) -> None:
        self._submitter = Submitter(rig.api_url, upload, model)
        self._url = f"{rig.api_url}/v1/jobs?limit=50"
        self.submit_seconds: list[float] = []
        self.list_seconds: list[float] = []

    def forget(self) -> None:
        """Drop what was noted while the rig became warm."""
        self.submit_seconds.clear()
        self.list_seconds.clear()

    async def ask(self, jobs_a_second: float, seconds: float) -> None:
        """Submit and list for so long."""
        async with aiohttp.ClientSession() as session:

            async def submit() -> None:
                await self._submitter.submit(session)

            async def list_jobs() -> None:
                async with session.get(self._url) as reply:
                    await reply.read()
                    reply.raise_for_status()

            await asyncio.gather(
                _by_the_clock(submit, 1.0 / jobs_a_second, seconds, self.submit_seconds),
                _by_the_clock(list_jobs, LIST_SECONDS, seconds, self.list_seconds),
            )


async def _by_the_clock(
    do: Callable[[], Awaitable[None]], pause: float, seconds: float, took: list[float]
) -> None:
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), []

    async def timed() -> None:
        start = loop.time()
        await do()
        took.append(loop.time() - start)

    for number in range(int(seconds / pause)):
        await asyncio.sleep(max(0.0, began + number * pause - loop.time()))
        asked.append(asyncio.create_task(timed()))
    await asyncio.gather(*asked)


def measure(rig: Rig, upload: str, given: argparse.Namespace) -> dict[str, Any]:
    """Measure the idle rig, then the busy one."""
    redis = rig.redis
    before: Any = redis.info("clients")["connected_clients"]
    time.sleep(5.0)
    window = Window(rig)
    time.sleep(given.idle_seconds)
    idle = window.read()
    speed = CHUNK_SECONDS / given.unit_seconds
    asker = Asker(rig, upload, f"fake-{max(1, round(speed))}x")
    rate = rig.workers / given.unit_seconds / CHUNKS  # jobs a second that keep all workers busy
    print(f"idle: {idle}; {rate:.2f} jobs a second from now on", flush=True)
    asyncio.run(asker.ask(rate, given.warm_seconds))
    asker.forget()
    window, since = Window(rig), time.time()
    asyncio.run(asker.ask(rate, given.seconds))
    by_name, busy = window.by_name(), window.read()
    lines = [line.split() for line in rig.passes.read_text().splitlines()]
    passes = [float(seconds) for at, seconds in lines if float(at) > since]
    workers = rig.worker_processes()
    memory: Any = redis.info("memory")
    clients: Any = redis.info("clients")
    per_unit = (busy["redis_cpu"] - idle["redis_cpu"]) / busy["units"]
    per_worker = idle["redis_cpu"] / rig.workers
    return {
        "workers": rig.workers,
        "sleeps_seconds_a_unit": given.unit_seconds,
        "idle": rounded(idle),
        "busy": rounded(busy),
        "commands_a_unit": round((busy["commands"] - idle["commands"]) / busy["units"], 1),
        "busy_commands_by_name": by_name,
        "bytes_a_unit": round((busy["bytes"] - idle["bytes"]) / busy["units"]),
        "idle_commands_a_worker_and_second": round(idle["commands"] / rig.workers, 2),
        "redis_cpu_microseconds_a_unit": round(1e6 * per_unit),
        "redis_cpu_microseconds_a_worker_and_second": round(1e6 * per_worker),
        "open_jobs": len(rig.connection.jobs.open_runs()),
        "redis_mb": round(memory["used_memory"] / 1e6, 1),
        "connections_before": before,
        "connections": clients["connected_clients"],
        "connections_a_worker": round(float(np.mean([links(one) for one in workers])), 1),
        "worker_mb": round(float(np.mean([one.memory_full_info().uss for one in workers])) / 1e6),
        "reconciler_pass_seconds": spread(passes),
        "submit_seconds": spread(asker.submit_seconds),
        "list_seconds": spread(asker.list_seconds),
        "one_redis": capacity(per_unit, per_worker),
    }


def capacity(per_unit: float, per_worker: float) -> dict[str, float]:
    """Return what one Redis feeds when it uses SHARE of a core. Pure."""
    found: dict[str, float] = {"units_a_second_without_workers": round(SHARE / per_unit)}
    for seconds in UNIT_SECONDS:
        gpus = SHARE / (per_unit / seconds + per_worker)
        found[f"gpus_with_units_of_{seconds:g}_s"] = round(gpus)
    return found


def links(process: psutil.Process) -> int:
    """Return the connections of a process."""
    return sum(bool(link.raddr) for link in process.net_connections("tcp"))


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the median, the 95th percentile and the largest."""
    if not seconds:
        return {}
    p50, p95, most = np.percentile(seconds, [50, 95, 100])
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(most, 3), "n": len(seconds)}


def rounded(rates: dict[str, float]) -> dict[str, float]:
    """Return the rates with four digits behind the point."""
    return {name: round(value, 4) for name, value in rates.items()}


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--cpu-units", type=int, default=2)
    parser.add_argument(
        "--unit-seconds", type=float, default=5.0, help="that a unit sleeps: 5 or 1"
    )
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--warm-seconds", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--label", default="now", help="under which the file keeps the figures")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-rig-") as name:
        directory = Path(name)
        samples = int(CHUNKS * CHUNK_SECONDS * SAMPLE_RATE)
        sound = recording(CHUNKS * CHUNK_SECONDS, seed=0)[0][:samples]
        file = write_wav(directory / "talk.wav", sound)
        with Rig(directory, given.workers, given.cpu_units) as rig:
            rig.until_ready()
            upload = asyncio.run(put_upload(rig.api_url, file))
            asyncio.run(Submitter(rig.api_url, upload).submit_all(1))  # the audio is prepared
            until_ended(rig)
            found = measure(rig, upload, given)
    print(json.dumps(found, indent=1))
    written = json.loads(given.json.read_text()) if given.json.exists() else {}
    written |= {"machine": describe_machine(), given.label: found}
    given.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
