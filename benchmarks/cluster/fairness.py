"""How long a short clip takes behind a flood of another tenant, beside its time alone.

    python -m benchmarks.cluster.fairness [--parts prepare gpu] [--clips 5]

`prepare`: each file takes 4 s to be prepared, on a CPU worker of two units; one tenant submits 16
files, then another one a clip of 5 s. `gpu`: one worker, whose device takes a second for 300 of
audio (0.6 s for a whole batch, and no fixed part of it; `short_batches.py` has devices with one);
one tenant has twelve files of ten minutes in flight when the other one submits its clips, one
after the other, at moments that have nothing to do with those of batches. The first clip finds
whole batches: its owner is new. So the median is told with and without the first one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.machine import print_machine
from config.settings import Settings
from gpu_worker.models.allowed import listed_name
from orchestrator.cluster.job import Job
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from tasks.runs.submitted_options import job_options
from tests.inputs.speech import recording, write_wav

FLOOD, GUEST = "flood", "guest"
MODEL = "fake-300x"
PAUSE_SECONDS = 0.4  # at most, before a clip


class Measured:
    """A cluster with one GPU worker, and files that differ from each other."""

    def __init__(self, directory: Path, plugins: tuple[str, ...]) -> None:
        self._directory = directory
        self._number = 0
        self._dice = random.Random(7)
        settings = Settings(home=directory / "home", allowed_models=listed_name(MODEL))
        self.cluster = LocalCluster(settings, workers=1, plugins=plugins, adopt=False)

    def submit(self, tenant: str, seconds: float) -> Job:
        """Submit a new recording."""
        self._number += 1
        sound, _ = recording(seconds, seed=self._number)
        file = write_wav(self._directory / f"{self._number}.wav", sound)
        services = self.cluster.services
        options = job_options({"model": MODEL, "language": "en", "aligner": "cross_attention"})
        return submit(services, upload(services, file, tenant), options, tenant=tenant)

    def wait(self, *jobs: Job) -> None:
        """Wait for jobs of one tenant."""
        for job in follow(self.cluster.services, jobs[0].tenant, [job.id for job in jobs]):
            if job.status.final and job.status != "completed":
                raise RuntimeError(f"Job {job.id} is {job.status}: {job.error}")

    def clip_seconds(self) -> float:
        """Return the seconds from the submission of a clip of 5 s to its result, after a pause."""
        time.sleep(self._dice.uniform(0.0, PAUSE_SECONDS))
        began = time.perf_counter()
        self.wait(self.submit(GUEST, 5.0))
        return time.perf_counter() - began


def prepare(directory: Path, clips: int) -> tuple[list[float], list[float]]:
    """Return the clip's seconds alone, and behind 16 files that each take 4 s to be prepared."""
    measured = Measured(directory, ("tests.faults.slow_prepare",))
    with measured.cluster:
        measured.wait(measured.submit(FLOOD, 5.0))
        alone, behind = [measured.clip_seconds() for _ in range(clips)], []
        for _ in range(clips):
            flood = [measured.submit(FLOOD, 12.0) for _ in range(16)]
            behind.append(measured.clip_seconds())
            measured.wait(*flood)
    return alone, behind


def gpu(directory: Path, clips: int) -> tuple[list[float], list[float]]:
    """Return the clip's seconds alone, and while another tenant's files are transcribed."""
    measured = Measured(directory, ())
    with measured.cluster:
        measured.wait(measured.submit(FLOOD, 60.0))
        alone, behind = [measured.clip_seconds() for _ in range(4 * clips)], []
        flood = [measured.submit(FLOOD, 600.0) for _ in range(12)]
        while not any(measured.cluster.services.job(FLOOD, it.id).chunks.done for it in flood):
            time.sleep(0.1)
        for _ in range(4 * clips):
            behind.append(measured.clip_seconds())
        last = measured.cluster.services.job(FLOOD, flood[-1].id)
        if last.status.final:
            raise RuntimeError("The flood ended before the clips.")
    return alone, behind


def _compared(alone: list[float], behind: list[float]) -> str:
    middle, slow = statistics.median(alone), statistics.median(behind)
    return (
        f"alone {middle:.3f} s ({min(alone):.2f} to {max(alone):.2f}), behind the flood "
        f"{slow:.3f} s ({min(behind):.2f} to {max(behind):.2f}): {slow / middle:.2f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    both = ("prepare", "gpu")
    parser.add_argument("--parts", nargs="+", choices=both, default=both)
    parser.add_argument("--clips", type=int, default=5)
    given = parser.parse_args()
    print_machine()
    for part in given.parts:
        with tempfile.TemporaryDirectory(prefix="scriptorium-fairness-") as directory:
            alone, behind = {"prepare": prepare, "gpu": gpu}[part](Path(directory), given.clips)
        for name, count in {"all clips": 0, "without the first": 1}.items():
            print(f"{part}, {name}: {_compared(alone[count:], behind[count:])}")
        print(f"{part}, the first: alone {alone[0]:.2f} s, behind the flood {behind[0]:.2f} s")


if __name__ == "__main__":
    main()
