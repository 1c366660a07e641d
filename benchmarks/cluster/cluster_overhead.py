"""A whole cluster against one process of faster-whisper, on the same machine and threads.

    python -m benchmarks.cluster.cluster_overhead [--model tiny|pico] [--workload long|short]
                                          [--rounds 3] [--workers 2 1] [--json FILE]

Both sides get the same files, model, compute type, options, batch size and number of
model threads in all. The cluster's time runs from the first upload to the last published
result; its workers are up and have the model, and every round has audio of its own, so
nothing is found in a cache. The rival decodes, looks for speech and transcribes the files
one after the other. The sides alternate and only ratios within a pair are compared.

As a user would start it, the rival hands freed memory back to the kernel, which the
cluster's workers do not; `--same-memory` takes that difference away.

`tiny` has the size of Whisper's tiny and random weights: a fixed number of tokens a window.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.baseline import Baseline
from benchmarks.cluster.workloads import Model, model_named, write_files
from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from config.settings import Settings
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.workers import KEEP_MEMORY
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run

TENANT = "default"
BOUNDS = {("tiny", "long"): 1.2, ("tiny", "short"): 1.0}  # cluster over rival, at most
NOISY_SHARE = 0.1  # of the machine, used by others during a sample
WARM_UP_TRIES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One side's run over one round's files."""

    workload: str
    workers: int
    round: int
    side: str  # cluster or rival
    seconds: float
    windows: int
    cpu_seconds: float  # of this side's processes
    other_cpu_seconds: float  # of everybody else's on the machine
    load_average: float  # when it began


class ClusterSide:
    """A warm local cluster."""

    def __init__(self, cluster: LocalCluster, model: Model) -> None:
        self._cluster = cluster
        # The rival aligns nothing either.
        self._options = job_options({"aligner": "cross_attention", **model.job})
        self._counted: set[str] = set()

    def warm_up(self, directory: Path, workers: int) -> None:
        """Small jobs until every worker has done one, so that all have the model."""
        warm: set[str] = set()
        for attempt in range(WARM_UP_TRIES):
            files = write_files(directory, "short", 900 + attempt, 0, 2 * workers)
            jobs = self.transcribe(files)
            for job in jobs:
                receipts = self._cluster.services.ledger.read(Run(TENANT, job, 1))
                warm.add(receipts[Stage.TRANSCRIBE, 0].worker)
            if len(warm) == workers:
                self.count_windows()
                return
        raise RuntimeError("Not every worker gets work.")

    def transcribe(self, files: list[Path]) -> list[str]:
        """Submit all, wait for all, and return the jobs."""
        connection = self._cluster.services
        jobs = [
            submit(connection, upload(connection, file, TENANT), self._options, tenant=TENANT).id
            for file in files
        ]
        for job in follow(connection, TENANT, jobs):
            if job.status.final and job.status != "completed":
                raise RuntimeError(f"Job {job.id} is {job.status}: {job.error}")
        return jobs

    def count_windows(self) -> int:
        """Windows decoded since the last call."""
        store = self._cluster.services.store
        new = {
            key
            for key in store.list(f"tenants/{TENANT}/audio/")
            if "/transcribe/" in key and key not in self._counted
        }
        self._counted |= new
        return sum(len(json.loads(store.get(key))["windows"]) for key in new)


def measure(
    side: ClusterSide, rival: Baseline, model: Model, files: list[Path], named: dict[str, Any]
) -> Iterator[Sample]:
    """Both sides over the same files; who begins alternates with the round."""
    order = ("cluster", "rival") if named["round"] % 2 == 0 else ("rival", "cluster")
    for name in order:
        load = os.getloadavg()[0]
        of_cluster = (os.getpid(), rival.pid)  # this process and its children, but the rival
        clock = ProcessorTime(*of_cluster) if name == "cluster" else ProcessorTime(rival.pid)
        started = time.perf_counter()
        if name == "cluster":
            side.transcribe(files)
            seconds = time.perf_counter() - started
            ours, others = clock.stop()
            windows = side.count_windows()
        else:
            answer = rival.transcribe(files, model.pipeline)
            ours, others = clock.stop()
            seconds, windows = answer.seconds, answer.windows
        sample = Sample(
            **named,
            side=name,
            seconds=round(seconds, 3),
            windows=windows,
            cpu_seconds=round(ours, 2),
            other_cpu_seconds=round(others, 2),
            load_average=round(load, 2),
        )
        print_sample(sample)
        yield sample


def print_sample(sample: Sample) -> None:
    """One row."""
    share = sample.other_cpu_seconds / (sample.seconds * (os.cpu_count() or 1))
    print(
        f"{sample.workload:<6} {sample.workers:>7} {sample.round:>5} {sample.side:<8}"
        f"{sample.seconds:>9.2f} {sample.windows:>8} {sample.cpu_seconds:>8.1f}"
        f"{share:>8.0%} {sample.load_average:>6.2f}{'  noisy' if share > NOISY_SHARE else ''}",
        flush=True,
    )


def print_ratios(model: str, samples: list[Sample]) -> bool:
    """Medians of the pairs' ratios; False if one is over its bound."""
    print("\nworkload workers pairs  ratio  (of each pair)          CPU ratio  bound")
    met = True
    for workload, workers in dict.fromkeys((s.workload, s.workers) for s in samples):
        chosen = [s for s in samples if (s.workload, s.workers) == (workload, workers)]
        pairs = [
            {s.side: s for s in chosen if s.round == number}
            for number in sorted({s.round for s in chosen})
        ]
        ratios = [pair["cluster"].seconds / pair["rival"].seconds for pair in pairs]
        cpu = [pair["cluster"].cpu_seconds / pair["rival"].cpu_seconds for pair in pairs]
        median, bound = statistics.median(ratios), BOUNDS.get((model, workload))
        each = " ".join(f"{ratio:.3f}" for ratio in ratios)
        print(
            f"{workload:<8} {workers:>7} {len(pairs):>5} {median:>6.3f}  ({each:<22})"
            f"{statistics.median(cpu):>10.3f}  {bound or '-'}"
        )
        met = met and (bound is None or median <= bound)
    return met


def main() -> int:
    """Print every sample and the ratios; exit status 1 if a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=["tiny", "pico"], default="tiny")
    parser.add_argument(
        "--workload", nargs="+", choices=["long", "short"], default=["long", "short"]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[os.cpu_count() or 1, 1])
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long file")
    parser.add_argument("--files", type=int, default=60, help="of one minute, in `short`")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=100, help="a window, of tiny")
    parser.add_argument(
        "--same-memory", action="store_true", help="the workers' allocator settings for the rival"
    )
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and clean up
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as name:
        samples = run_all(given, Path(name))
    met = print_ratios(given.model, samples)
    if given.json:
        report = {"machine": describe_machine(), "samples": [asdict(s) for s in samples]}
        given.json.write_text(json.dumps(report, indent=1))
    return 0 if met else 1


def run_all(given: argparse.Namespace, scratch: Path) -> list[Sample]:
    """Every cluster size, workload and round."""
    threads = os.cpu_count() or 1
    model = model_named(given.model, scratch / "tiny", given.batch_size, given.tokens)
    compute_type = model.job.get("compute_type", "default")
    samples: list[Sample] = []
    print(f"\n{given.model}, {compute_type}, batch {given.batch_size}, {threads} threads a side")
    print("work   workers round side      seconds  windows CPU secs  others   load")
    environment = KEEP_MEMORY if given.same_memory else {}
    with Baseline(model.directory, compute_type, threads, environment) as rival:
        for workers in given.workers:
            home = Settings(home=scratch / f"home-{workers}")
            with LocalCluster(home, workers=workers, adopt=False) as cluster:
                side = ClusterSide(cluster, model)
                side.warm_up(scratch / "warm", workers)
                rival.transcribe(write_files(scratch / "warm", "short", 1, 0, 1), model.pipeline)
                for workload in given.workload:
                    for number in range(given.rounds):
                        files = write_files(
                            scratch / "audio", workload, number, given.minutes, given.files
                        )
                        named = {"workload": workload, "workers": workers, "round": number}
                        samples += measure(side, rival, model, files, named)
                        for file in files:
                            file.unlink()
    return samples


if __name__ == "__main__":
    sys.exit(main())
