"""A thousand jobs at once, then a steady rate: how fast, and does anything grow?

    python -m benchmarks.fleet.load [--jobs 1000] [--chunks 20] [--soak-minutes 15]
                                    [--soak-share 0.5] [--gpu-workers 2] [--json FILE]
                                    [--plot FILE]

A cluster of real processes (Redis, two API processes, a reconciler, workers with the `fake` engine)
and this client share the machine. All jobs are of one upload, which is prepared once; each has an
`initial_prompt` of its own, so each computes all its chunks. The soak submits jobs by the clock, at
a share of the rate that was reached before, and fits a line to the memory, the file descriptors and
the threads of each process. Exit status 1 if a job is not completed. A target that is not reached
is said, and is no error: it was set for a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.cluster.uploads import put_upload
from benchmarks.fleet.load_cluster import LoadCluster
from benchmarks.fleet.load_samples import Sampler, draw, keys_by_kind
from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from tests.inputs.speech import SAMPLE_RATE, recording, write_wav

TENANT = "default"
CHUNK_SECONDS = 5.0
PARALLEL = 16  # submissions at once
POLL_SECONDS = 0.5
MOST_SECONDS = 3600.0  # for the jobs to end
LOAD_SAMPLE_SECONDS, SOAK_SAMPLE_SECONDS = 1.0, 5.0
# The targets, on a quiet machine of two cores.
LEAST_CHUNKS_A_SECOND = 85.0
MOST_API_MB, MOST_WORKER_MB, MOST_SLOPE_MB = 250.0, 200.0, 1.0


class Submitter:
    """Submits jobs of one upload over HTTP."""

    def __init__(self, url: str, upload: str, model: str = "fake") -> None:
        self._url, self._upload, self._model = f"{url}/v1/jobs", upload, model
        self._number = 0

    async def submit(self, session: aiohttp.ClientSession) -> str:
        """Submit the next job, again while the API asks to wait; return its id."""
        self._number += 1
        options = {
            "model": self._model, "language": "en", "aligner": "none",
            "chunk_seconds": CHUNK_SECONDS, "initial_prompt": f"job {self._number}",
        }  # fmt: skip
        body = {"upload_id": self._upload, "options": options}
        headers = {"Idempotency-Key": f"load-{self._model}-{self._number}"}
        while True:
            async with session.post(self._url, json=body, headers=headers) as reply:
                if reply.status == 202:
                    return str((await reply.json())["id"])
                if reply.status not in (429, 503):
                    raise RuntimeError(f"{reply.status}: {await reply.text()}")
            await asyncio.sleep(1.0)

    async def submit_all(self, count: int) -> list[str]:
        """Submit so many jobs, PARALLEL at once."""
        gate = asyncio.Semaphore(PARALLEL)
        async with aiohttp.ClientSession() as session:

            async def one() -> str:
                async with gate:
                    return await self.submit(session)

            return list(await asyncio.gather(*(one() for _ in range(count))))

    async def submit_steadily(self, rate: float, seconds: float) -> list[str]:
        """Submit `rate` jobs a second for so long, by the clock."""
        loop = asyncio.get_running_loop()
        began, tasks = loop.time(), []
        async with aiohttp.ClientSession() as session:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                tasks.append(asyncio.create_task(self.submit(session)))
            return list(await asyncio.gather(*tasks))


def until_ended(cluster: LoadCluster) -> None:
    """Wait until no job is open. Raises TimeoutError."""
    deadline = time.monotonic() + MOST_SECONDS
    while cluster.connection.jobs.open_runs():
        if time.monotonic() > deadline:
            raise TimeoutError(f"jobs are still open after {MOST_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def endings(cluster: LoadCluster, jobs: list[str]) -> dict[str, int]:
    """Return how many of the jobs ended in each way."""
    return dict(Counter(cluster.connection.job(TENANT, job).status.value for job in jobs))


def measure_load(cluster: LoadCluster, submitter: Submitter, count: int) -> dict[str, Any]:
    """Submit all jobs at once and wait for them."""
    processor = ProcessorTime(os.getpid())  # the cluster is below it
    began = time.monotonic()
    with Sampler(cluster, LOAD_SAMPLE_SECONDS) as sampler:
        jobs = asyncio.run(submitter.submit_all(count))
        accepted = time.monotonic() - began
        until_ended(cluster)
        seconds = time.monotonic() - began
    ours, others = processor.stop()
    plan = cluster.connection.plan(TENANT, jobs[0])
    chunks = len(plan.chunks) if plan else 0
    return {
        "jobs": count,
        "chunks_a_job": chunks,
        "accepted_seconds": round(accepted, 1),
        "seconds": round(seconds, 1),
        "chunks_a_second": round(count * chunks / seconds, 1),
        "jobs_a_second": round(count / seconds, 3),
        "processor_seconds": round(ours, 1),
        "processor_seconds_of_others": round(others, 1),
        "endings": endings(cluster, jobs),
        "peak_megabytes": sampler.peaks(),
        "final_megabytes": sampler.last(),
        "redis_peak_megabytes": max(one.redis_megabytes for one in sampler.samples),
        "redis_keys": keys_by_kind(cluster.redis),
    }


def measure_soak(
    cluster: LoadCluster, submitter: Submitter, rate: float, minutes: float, plot: Path | None
) -> dict[str, Any]:
    """Submit jobs by the clock and watch what grows."""
    with Sampler(cluster, SOAK_SAMPLE_SECONDS) as sampler:
        jobs = asyncio.run(submitter.submit_steadily(rate, 60.0 * minutes))
    most_open = max(one.open_jobs for one in sampler.samples)
    until_ended(cluster)
    if plot is not None:
        draw(plot, sampler)
    return {
        "minutes": minutes,
        "jobs_a_minute": round(60.0 * rate, 1),
        "jobs": len(jobs),
        "endings": endings(cluster, jobs),
        "most_open_jobs": most_open,
        "slopes_a_minute": sampler.slopes(),
        "peak_megabytes": sampler.peaks(),
        "samples": sampler.to_json(),
    }


def verdicts(load: dict[str, Any], soak: dict[str, Any] | None) -> list[str]:
    """Return a line for each target: what was reached, and whether it is held."""
    peaks = dict(load["peak_megabytes"])
    api = max(size for name, size in peaks.items() if name.startswith("api"))
    worker = max(size for name, size in peaks.items() if "@" in name)
    lines = [
        _verdict("chunks a second", load["chunks_a_second"], LEAST_CHUNKS_A_SECOND, at_least=True),
        _verdict("MB of an API process", api, MOST_API_MB),
        _verdict("MB of a worker's main process", worker, MOST_WORKER_MB),
    ]
    for name, slopes in (soak or {}).get("slopes_a_minute", {}).items():
        if name != "redis":
            lines.append(_verdict(f"MB a minute of {name}", slopes["megabytes"], MOST_SLOPE_MB))
    return lines


def _verdict(what: str, value: float, target: float, *, at_least: bool = False) -> str:
    held = value >= target if at_least else value < target
    sign = ">=" if at_least else "<"
    return f"{what:<34} {value:>9.2f}  target {sign} {target:g}: {'held' if held else 'NOT held'}"


def main() -> int:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=20, help="of a job, roughly")
    parser.add_argument("--soak-minutes", type=float, default=15.0, help="0: no soak")
    parser.add_argument("--soak-share", type=float, default=0.5, help="of the rate reached")
    parser.add_argument("--gpu-workers", type=int, default=2)
    parser.add_argument("--cpu-units", type=int, default=1, help="of the CPU worker, at once")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    given = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory(prefix="scriptorium-load-") as name:
        directory = Path(name)
        seconds = given.chunks * CHUNK_SECONDS
        sound = recording(seconds, seed=0)[0][: int(seconds * SAMPLE_RATE)]
        file = write_wav(directory / "talk.wav", sound)
        with LoadCluster(directory, given.gpu_workers, given.cpu_units) as cluster:
            upload = asyncio.run(put_upload(cluster.api_url, file))
            submitter = Submitter(cluster.api_url, upload)
            asyncio.run(submitter.submit_all(1))  # the audio is prepared, and all is warm
            until_ended(cluster)
            load, soak = measure_load(cluster, submitter, given.jobs), None
            print(json.dumps(load, indent=1), flush=True)
            if given.soak_minutes > 0:
                rate = given.soak_share * load["jobs_a_second"]
                soak = measure_soak(cluster, submitter, rate, given.soak_minutes, given.plot)
                shown = {name: value for name, value in soak.items() if name != "samples"}
                print(json.dumps(shown, indent=1), flush=True)
    print("\n".join(verdicts(load, soak)))
    if given.json is not None:
        report = {
            "machine": describe_machine(),
            "gpu_workers": given.gpu_workers,
            "load": load,
            "soak": soak,
        }
        given.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    ended = Counter(load["endings"]) + Counter((soak or {}).get("endings", {}))
    return 0 if set(ended) == {"completed"} else 1


if __name__ == "__main__":
    sys.exit(main())
