"""Milliseconds of a read of one chunk's audio from each level of a worker's caches.

    python -m benchmarks.cluster.cache_levels [--rounds 30] [--chunks 12] [--seconds 50]

The S3 server is that of the tests (moto), a process of its own on this machine: a real one is
behind a network, and has no Python in its way. Each round reads every chunk from every level, in
turns; what is on a disk is in the system's memory too. Beside it: a look whether the audio is
still there, the first read, which also writes both copies, and a store in a directory.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.machine import describe_machine, print_machine
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE
from tasks.artifacts import ArtifactStore
from tasks.artifacts.cached import CachedStore
from tasks.artifacts.cached_files import CachedFiles
from tasks.artifacts.local import LocalStore
from tasks.artifacts.s3 import S3Store, s3_client

RESULTS = Path(__file__).parents[1] / "results" / "cache_levels.json"
DAY = 24 * 3600.0


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--chunks", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=50.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    length = round(given.seconds * SAMPLE_RATE) * SAMPLE_BYTES
    print_machine()
    with tempfile.TemporaryDirectory() as name, _S3() as client:
        samples = _measure(Path(name), client, length, given.chunks, given.rounds)
    figures = {level: _figures(values) for level, values in samples.items()}
    for level, found in figures.items():
        print(f"{level:<46} {found['median']:8.3f} ms  ({found['low']:.3f} to {found['high']:.3f})")
    written = {"machine": describe_machine(), "seconds": given.seconds, "bytes": length}
    written |= {"reads": given.chunks * given.rounds, "milliseconds": figures}
    given.json.write_text(json.dumps(written, indent=2) + "\n")


def _measure(
    base: Path, client: Any, length: int, chunks: int, rounds: int
) -> dict[str, list[float]]:
    bucket = S3Store("audio", "", client)
    directory = LocalStore(base / "store")
    # Each chunk is an object of its own: for a range moto reads the whole object.
    keys, room = [f"{number}/pcm" for number in range(chunks)], 2 * length * chunks
    for key in keys:
        data = os.urandom(length)
        for store in (bucket, directory):
            store.put(key, data)
    memory = _cached(bucket, room, None)
    disk = _cached(bucket, 0, _files(base / "disk", room))
    over_directory = _cached(directory, room, None)
    filled = _files(base / "first", room)
    readers: dict[str, Callable[[str], object]] = {
        "memory": lambda key: memory.get(key, 0, length),
        "disk": lambda key: disk.get(key, 0, length),
        "S3": lambda key: bucket.get(key, 0, length),
        "S3, first read: with writing to memory and disk": lambda key: _cached(
            bucket, room, filled
        ).get(key, 0, length),
        "S3, is it still there?": bucket.size,
        "a store in a directory": lambda key: directory.get(key, 0, length),
        "memory over a store in a directory": lambda key: over_directory.get(key, 0, length),
    }
    samples: dict[str, list[float]] = {level: [] for level in readers}
    for number in range(rounds + 1):
        for key in keys:
            filled.forget(key)
            for level, read in readers.items():
                began = time.perf_counter()
                read(key)
                if number:  # the first round fills the caches
                    samples[level].append((time.perf_counter() - began) * 1000)
    return samples


def _cached(store: ArtifactStore, memory_bytes: int, files: CachedFiles | None) -> CachedStore:
    return CachedStore(
        store,
        lambda key: key,
        memory_bytes=memory_bytes,
        seconds=DAY,
        files=files,
        count=lambda level, found: None,
    )


def _files(base: Path, room: int) -> CachedFiles:
    return CachedFiles(base, "benchmark", room, DAY)


def _figures(values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


class _S3:
    """The server of the tests as a process, and a client of it, with a bucket `audio`."""

    def __enter__(self) -> Any:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "tests.servers.s3_server", "127.0.0.1", str(port)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        os.environ.update(
            AWS_ACCESS_KEY_ID="tester",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_DEFAULT_REGION="us-east-1",
        )
        client = s3_client(f"http://127.0.0.1:{port}", attempts=1)
        for _ in range(300):
            try:
                client.create_bucket(Bucket="audio")
                return client
            except (BotoCoreError, ClientError):  # it is just starting
                time.sleep(0.1)
        raise RuntimeError("the S3 server does not start")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main()
