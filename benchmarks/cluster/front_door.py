"""How many submissions, watchers and equal keys the API takes beside working workers.

    python -m benchmarks.cluster.front_door [--seconds 60] [--rate 200] [--watchers 500]
                                            [--rounds 3]

A real cluster with the `fake` engine on this machine: API, Redis, reconciler, 2 GPU workers
and a CPU worker, all on the same cores as the load. Submissions arrive by the clock, whether
the earlier ones were answered or not, and a latency counts from the moment when one was due.
The peer is what one would write first: a FastAPI route that hands its body to Celery's
`send_task` and keeps nothing, under the same uvicorn; both get the same load in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil

from benchmarks.cluster.uploads import put_upload, upload
from benchmarks.machine import print_machine, resident_mb
from tests.inputs.speech import recording, write_wav

READY_SECONDS = 60.0
OPTIONS = {"model": "fake", "language": "en", "aligner": "none"}


@dataclass
class Load:
    """What came of one round."""

    latencies: list[float] = field(default_factory=list)  # seconds
    statuses: Counter[str] = field(default_factory=Counter)

    def line(self, name: str) -> str:
        ranks = sorted(self.latencies)
        p50, p95, p99 = (ranks[int(len(ranks) * share)] * 1000 for share in (0.5, 0.95, 0.99))
        return (
            f"{name:<12} {len(ranks)} answered {dict(self.statuses)}, "
            f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, max {ranks[-1] * 1000:.0f} ms"
        )

    @property
    def p95(self) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * 0.95)]


async def submit_at_rate(url: str, body: dict[str, object], rate: float, seconds: float) -> Load:
    """POST the body `rate` times a second, by the clock."""
    load = Load()
    payload = json.dumps(body).encode()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
    ) as session:

        async def one(due: float) -> None:
            headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
            try:
                async with session.post(url, data=payload, headers=headers) as reply:
                    await reply.read()
                    load.statuses[str(reply.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                load.statuses[type(error).__name__] += 1
            load.latencies.append(asyncio.get_running_loop().time() - due)

        loop = asyncio.get_running_loop()
        began, tasks = loop.time(), set()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            task = asyncio.create_task(one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    return load


async def equal_keys(base: str, body: dict[str, object], count: int) -> set[str]:
    """The ids that so many submissions with one key get, all at once."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> str:
            headers = {"Idempotency-Key": "the-same-for-all"}
            async with session.post(f"{base}/v1/jobs", json=body, headers=headers) as reply:
                assert reply.status == 202, await reply.text()
                return str((await reply.json())["id"])

        return set(await asyncio.gather(*(one() for _ in range(count))))


async def read_events(
    session: aiohttp.ClientSession, url: str, last: str | None
) -> AsyncIterator[tuple[str, str]]:
    """Id and data of each event of one connection."""
    headers = {"Last-Event-ID": last} if last else {}
    async with session.get(url, headers=headers) as reply:
        if reply.status == 204:
            return
        assert reply.status == 200, await reply.text()
        name = data = ""
        async for raw in reply.content:
            line = raw.decode().rstrip("\r\n")
            if line.startswith("id:"):
                name = line[3:].strip()
            elif line.startswith("data:"):
                data += line[5:].strip()
            elif not line and name:
                yield name, data
                name = data = ""


async def watch(session: aiohttp.ClientSession, url: str, leave_after: int) -> list[str]:
    """The ids of all events of a job, with one connection given up on the way."""
    seen: list[str] = []
    async for name, _ in read_events(session, url, None):
        seen.append(name)
        if leave_after and len(seen) == leave_after:
            break
    while not seen or not seen[-1].endswith(".end"):
        async for name, _ in read_events(session, url, seen[-1] if seen else None):
            seen.append(name)
    return seen


async def watchers(base: str, jobs: list[str], count: int) -> tuple[int, int, int]:
    """So many watchers over these jobs: how many saw everything, reconnects, events in all."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=1 << 20,
    ) as session:
        urls = [f"{base}/v1/jobs/{jobs[number % len(jobs)]}/events" for number in range(count)]
        leaving = [(number // len(jobs)) % 2 * (2 + number % 7) for number in range(count)]
        seen = await asyncio.gather(*map(watch, [session] * count, urls, leaving))
        replayed = {url: await watch(session, url, 0) for url in set(urls)}
    complete = sum(list_ == replayed[url] for list_, url in zip(seen, urls, strict=True))
    return complete, sum(map(bool, leaving)), sum(map(len, seen))


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[int]:
    """A program of ours, ended with its whole process group."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, start_new_session=True
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} does not answer")
            await asyncio.sleep(0.2)


def api_memory(base: str) -> float:
    """MB of resident memory of the process that listens there."""
    port = int(base.rpartition(":")[2])
    for process in psutil.process_iter():
        try:
            if any(
                c.laddr.port == port and c.status == "LISTEN"
                for c in process.net_connections("tcp")
            ):
                return resident_mb(process.pid)
        except psutil.Error:
            continue
    return float("nan")


async def measure_watchers(base: str, directory: Path, count: int) -> None:
    long = write_wav(directory / "long.wav", recording(600)[0])
    options = OPTIONS | {"chunk_seconds": 5.0, "model": "fake-100x"}
    jobs = [await upload(base, long, options | {"beam_size": beam}) for beam in range(1, 6)]
    began = time.monotonic()
    complete, reconnects, events = await watchers(base, jobs, count)
    print(
        f"{count} watchers of {len(jobs)} jobs: {complete} saw every event, "
        f"{reconnects} of them over a reconnect; {events} events "
        f"in {time.monotonic() - began:.0f} s; API {api_memory(base):.0f} MB\n"
    )


async def measure(base: str, peer: str, directory: Path, arguments: argparse.Namespace) -> None:
    await until_ready(f"{base}/readyz")
    await until_ready(f"{peer}/healthz")
    print_machine()

    keyed: dict[str, object] = {
        "upload_id": await put_upload(base, write_wav(directory / "short.wav", recording(2)[0])),
        "options": OPTIONS,
    }
    ids = await equal_keys(base, keyed, 50)
    print(f"50 equal Idempotency-Keys at once: {len(ids)} job(s)\n")

    if arguments.watchers:
        await measure_watchers(base, directory, arguments.watchers)
    ratios = []
    for number in range(arguments.rounds):
        seconds = arguments.seconds if number == 0 else min(20.0, arguments.seconds)
        ours = await submit_at_rate(f"{base}/v1/jobs", keyed, arguments.rate, seconds)
        print(f"{arguments.rate:.0f}/s for {seconds:.0f} s")
        print(ours.line("scriptorium"))
        theirs = await submit_at_rate(f"{peer}/jobs", keyed, arguments.rate, min(20.0, seconds))
        print(theirs.line("send_task"))
        ratios.append(ours.p95 / theirs.p95)
    print(f"\nAPI {api_memory(base):.0f} MB; p95 ours / send_task {statistics.median(ratios):.2f}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        ours, theirs = free_port(), free_port()
        environment = os.environ | {"SCRIPTORIUM_HOME": str(directory / "home")}
        environment["SCRIPTORIUM_ALLOWED_MODELS"] = "fake"
        for unwanted in ("REDIS_URL", "SCRIPTORIUM_REDIS_URL", "SCRIPTORIUM_STORE_URL"):
            environment.pop(unwanted, None)
        up = [sys.executable, "-m", "orchestrator.cli", "up", "--workers", "2"]
        peer = [sys.executable, "-m", "benchmarks.cluster.send_task_api", str(theirs)]
        with (
            running([*up, "--port", str(ours)], directory / "up.log", environment),
            running(peer, directory / "peer.log", environment),
        ):
            base, other = f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}"
            try:
                asyncio.run(measure(base, other, directory, arguments))
            except BaseException:
                print((directory / "up.log").read_text()[-4000:], file=sys.stderr)
                raise


if __name__ == "__main__":
    main()
