"""A local fleet under a burst: when each worker was started, ready, told to go, and gone.

    python -m benchmarks.cluster.scale_workers [--rounds 3] [--max-workers 4] [--busy]

Every round submits files of sixteen chunks each to a cluster of one worker and waits until
there is one again. The engine sleeps a second for each chunk, so the workers' cores are free and
what is measured is the fleet. With `--busy` fewer workers are wanted while all still have chunks:
those that go finish theirs first. Exit status 1 if a worker was killed or a chunk begun twice.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import print_machine
from config.logging import configure_logging
from config.settings import Settings
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.supervisor import Drain
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav

RATE = 16_000
FILES, CHUNKS, CHUNK_SECONDS = 8, 16, 10.0
TENANT = "default"
# Idle workers go some seconds after the burst; busy ones as soon as the backlog shrinks.
POOLS = {
    False: {"target_drain_seconds": 5.0, "scale_down_seconds": 5.0},
    True: {"target_drain_seconds": 15.0, "scale_down_seconds": 0.5},
}


@dataclass
class Life:
    """One worker's, in seconds after the burst began."""

    started: float
    told: float | None = None
    drain: Drain | None = None


@dataclass
class Round:
    """One burst."""

    began: float  # seconds since 1970
    lives: dict[str, Life] = field(default_factory=dict)  # of those that came for it
    worked_off: float = 0.0  # seconds from the burst to the last result


def burst(cluster: LocalCluster, directory: Path, number: int) -> Round:
    """Submit, and watch until the work is done and the workers are gone."""
    samples = recording(FILES * CHUNKS * CHUNK_SECONDS, seed=number)[0]
    length = int(CHUNKS * CHUNK_SECONDS * RATE)
    parts = np.split(samples[: FILES * length], FILES)
    options = job_options(
        {
            "model": "fake-10x", "language": "en", "aligner": "cross_attention",
            "chunk_seconds": CHUNK_SECONDS,
        }
    )  # fmt: skip
    seen, known = Round(time.time()), len(cluster.supervisor.drains())
    kept = models(cluster)
    for index, part in enumerate(parts):
        path = write_wav(directory / f"{number}-{index}.wav", part)
        submit(cluster.services, upload(cluster.services, path, TENANT), options, tenant=TENANT)
    while not seen.worked_off or len(models(cluster)) > 1:
        now = time.time() - seen.began
        for name in models(cluster) - kept:
            seen.lives.setdefault(name, Life(now))
        for name in cluster.supervisor.retiring() & seen.lives.keys():
            seen.lives[name].told = seen.lives[name].told or now
        if not seen.worked_off and not cluster.services.jobs.open_runs():
            seen.worked_off = now
        time.sleep(0.05)
    while cluster.supervisor.retiring():
        time.sleep(0.05)
    for drain in cluster.supervisor.drains()[known:]:
        seen.lives.setdefault(drain.name, Life(0.0)).drain = drain
    return seen


def models(cluster: LocalCluster) -> set[str]:
    """The workers with models that run."""
    return {name for name in cluster.supervisor.children() if name.startswith("gpu")}


def log_lines(cluster: LocalCluster) -> Iterator[dict[str, Any]]:
    """Of the workers with models."""
    for path in cluster.logs.glob("gpu*.log"):
        for line in path.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def ready_after(cluster: LocalCluster, name: str, seen: Round) -> float:
    """When a worker said that it takes work, in seconds after the burst began."""
    told = (
        datetime.fromisoformat(line["timestamp"]).timestamp() - seen.began
        for line in log_lines(cluster)
        if line.get("event") == f"{name} ready."
    )
    return min((seconds for seconds in told if seconds > 0), default=float("nan"))


def print_round(cluster: LocalCluster, number: int, seen: Round) -> None:
    """A row for each worker that came or went."""
    for name, life in sorted(seen.lives.items()):
        drain = life.drain
        ready = ready_after(cluster, name, seen)
        told = f"{life.told:>8.1f}" if life.told else f"{'-':>8}"
        gone = f"{drain.seconds:>8.2f} {drain.exit_status:>7}" if drain else f"{'stays':>8}"
        short = name.partition("@")[0]
        print(f"{number:>5} {short:<7}{life.started:>9.1f} {ready:>7.1f} {told} {gone}")
    print(f"{number:>5} all done {seen.worked_off:.1f} s after the burst began", flush=True)


def main() -> int:
    """Print every worker's life, and what all of them show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-workers", type=int, default=4)
    parser.add_argument("--busy", action="store_true", help="let them go while they work")
    given = parser.parse_args()
    configure_logging("WARNING", "text")
    print_machine()
    print(f"\npool {POOLS[given.busy]}; {FILES} files of {CHUNKS} chunks of {CHUNK_SECONDS:.0f} s")
    print("round worker   started   ready  told to  gone s  status")
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as name:
        values = Settings(
            home=Path(name) / "home", allowed_models="fake", pools={"gpu": POOLS[given.busy]}
        )
        with LocalCluster(values, min_workers=1, max_workers=given.max_workers) as cluster:
            for number in range(given.rounds):
                print_round(cluster, number, burst(cluster, Path(name), number))
            drains = cluster.supervisor.drains()
            begun = Counter(
                (line["job"], line["chunk"])
                for line in log_lines(cluster)
                if line.get("event") == "unit_started" and line["stage"] == "transcribe"
            )
    twice = sum(count > 1 for count in begun.values())
    killed = sum(drain.was_killed for drain in drains)
    seconds = sorted(drain.seconds for drain in drains)
    print(
        f"\n{len(drains)} workers went, {killed} killed; to go took "
        f"{statistics.median(seconds):.2f} s (median), {seconds[-1]:.2f} s at most\n"
        f"{len(begun)} chunks were begun, {twice} of them twice"
    )
    return 1 if killed or twice else 0


if __name__ == "__main__":
    sys.exit(main())
