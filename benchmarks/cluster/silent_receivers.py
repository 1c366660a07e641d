"""How long a webhook waits behind another tenant's receivers that accept and never answer.

    python -m benchmarks.cluster.silent_receivers [--runs 1000] [--tenants 4] [--json FILE]

Real Redis, real sockets, a store in memory. Tenants `silent-…` have so many runs due at one silent
receiver, or at as many different ones, when a run of tenant `b` ends; it is measured until b's
receiver has its message. Half of those silent runs are due when the courier starts, half follow.
`known`: b's receiver has answered before. It runs with the code of another checkout, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from benchmarks.machine import describe_machine, print_machine
from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.redis_server import RedisServer
from orchestrator.outbox.courier import Courier
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.units import Run

PATIENCE_SECONDS = 120.0
ROUNDS = 5


class Holes:
    """Receivers that accept connections and never answer."""

    def __init__(self, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._open: list[socket.socket] = []
        self._kept: list[socket.socket] = []
        self._ended = threading.Event()
        for _ in range(count):
            hole = socket.create_server(("127.0.0.1", 0), backlog=64)
            self._selector.register(hole, selectors.EVENT_READ)
            self._open.append(hole)
        self.places = [f"127.0.0.1:{hole.getsockname()[1]}" for hole in self._open]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.2):
                server = key.fileobj
                assert isinstance(server, socket.socket)
                self._kept.append(server.accept()[0])

    def close(self) -> None:
        """Close every connection."""
        self._ended.set()
        self._thread.join()
        for one in (*self._open, *self._kept):
            one.close()


class Listener:
    """The receiver of tenant b."""

    def __init__(self) -> None:
        self.times: list[float] = []
        times = self.times

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                times.append(time.monotonic())
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def end(cluster: Cluster, run: Run, place: str) -> None:
    """End a run as `assemble` does, with a webhook that is owed."""
    manifest = Manifest(
        tenant=run.tenant,
        job=run.job,
        created_at=1.0,
        source=Source(name="a", url="s3://b/a"),
        options=JobOptions(model="tiny.en", language="en"),
        webhook_url=f"http://{place}/told",
    )
    cluster.store.put(keys.manifest(run.tenant, run.job), encode(manifest.model_dump(mode="json")))
    cluster.store.put(keys.open_run(run), b"")
    result = result_record(transcript={"segments": []})
    cluster.store.put(keys.of_run(run, "result.json"), encode(result))
    cluster.jobs.add(manifest, run)
    cluster.settle(run)


@contextmanager
def opened(home: Path, hosts: list[str]) -> Iterator[Cluster]:
    """A cluster with a new Redis and a new store."""
    server = RedisServer(home)
    server.start()
    try:
        cluster = open_cluster(
            Settings(
                redis_url=SecretStr(server.url),
                store_url=f"memory://{home.name}",
                allow_urls=True,
                webhook_key=SecretStr("k" * 32),
                trusted_hosts=",".join(hosts),
            )
        )
        yield cluster
        cluster.close()
    finally:
        server.stop()


def measured(runs: int, receivers: int, tenants: int, known: bool) -> float | None:
    """Seconds until b has its message, behind so many silent runs; None: not within patience."""
    holes, listener = Holes(receivers), Listener()
    stop = threading.Event()
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            opened(Path(directory), [*holes.places, listener.place]) as cluster,
        ):
            thread = threading.Thread(target=Courier(cluster).run, args=(stop,))

            def silence(first: int, behind: int) -> None:
                for number in range(first, behind):
                    tenant = f"silent-{number % tenants}"
                    end(cluster, Run(tenant, f"job-{number}", 1), holes.places[number % receivers])

            silence(0, runs // 2)
            thread.start()
            if known:
                end(cluster, Run("b", "before", 1), listener.place)
                until(listener, 1)
            silence(runs // 2, runs)
            count = len(listener.times)
            began = time.monotonic()
            end(cluster, Run("b", "job", 1), listener.place)
            until(listener, count + 1)
            stop.set()
            thread.join()
            return listener.times[count] - began if len(listener.times) > count else None
    finally:
        listener.server.shutdown()
        holes.close()


def until(listener: Listener, count: int) -> None:
    """Wait for so many messages."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(listener.times) < count and time.monotonic() < deadline:
        time.sleep(0.005)


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--tenants", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print_machine()
    cases: dict[str, tuple[int, int, int, bool]] = {
        "alone": (0, 1, 1, False),
        "one silent receiver": (given.runs, 1, 1, False),
        "as many silent receivers": (given.runs, given.runs, 1, False),
        "as many, of several tenants": (given.runs, given.runs, given.tenants, False),
        "as many, of several tenants; known": (given.runs, given.runs, given.tenants, True),
    }
    written: dict[str, Any] = {"machine": describe_machine(), "runs": given.runs}
    for name, case in cases.items():
        found = [measured(*case) for _ in range(given.rounds)]
        seconds = sorted(PATIENCE_SECONDS if it is None else it for it in found)
        written[name] = [round(it, 3) for it in seconds]
        print(f"{name}: median {statistics.median(seconds):.2f} s, {written[name]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
