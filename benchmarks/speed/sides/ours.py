"""Ours: a warm cluster on this machine, with a GPU worker of one thread for each core."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from benchmarks.speed.busy import busy_shares
from benchmarks.speed.sides import COMPUTE_TYPE, Heard, Setup
from config.settings import Settings
from gpu_worker.models.allowed import listed_name
from gpu_worker.transcript import transcript_from_json
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.directories import private_directory
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run

TENANT = "default"
WARM_UP_TRIES = 20


@dataclass(frozen=True, slots=True)
class Batches:
    """Windows that were decoded in batches, and those that the batches had room for."""

    windows: float
    room: float

    def fill_since(self, before: Batches) -> float:
        """The mean fill of the batches since then."""
        return (self.windows - before.windows) / max(1.0, self.room - before.room)


class OurCluster:
    """Redis, reconciler, store and workers; use as a context manager."""

    def __init__(self, options: Mapping[str, Any], workers: int) -> None:
        self._options, self._workers = dict(options), workers
        self._scratch = tempfile.TemporaryDirectory(prefix="scriptorium-speed-")
        settings = Settings(
            home=Path(self._scratch.name),
            metrics_dir=private_directory(Path(self._scratch.name) / "metrics"),
            allowed_models=listed_name(self._options["model"]),
        )
        self._cluster = LocalCluster(settings, workers=workers, adopt=False)

    def __enter__(self) -> Self:
        self._cluster.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.close()
        self._scratch.cleanup()

    def warm_up(self, path: Path) -> None:
        """Jobs until every worker with models has done one, each with a prompt of its own.

        So none is answered from a cache. Raises RuntimeError if some worker gets no work.
        """
        warm: set[str] = set()
        for attempt in range(WARM_UP_TRIES):
            prompts = [f"Number {attempt}-{index}." for index in range(2 * self._workers)]
            jobs = [self._submit(path, {"initial_prompt": prompt}) for prompt in prompts]
            self._wait(jobs)
            receipts = self._cluster.services.ledger.read_all([Run(TENANT, job, 1) for job in jobs])
            warm |= {found[Stage.TRANSCRIBE, 0].worker for found in receipts}
            if len(warm) == self._workers:
                return
        raise RuntimeError("Not every worker gets work.")

    def transcribe(self, paths: Sequence[Path], batch_size: int = 0) -> Heard:
        """All files at once, until the last has its result; the batches are the cluster's own."""
        connection = self._cluster.services
        started = time.time()
        jobs = [self._submit(path) for path in paths]
        self._wait(jobs)
        found = [transcript_from_json(connection.result(TENANT, job)["transcript"]) for job in jobs]
        ended = time.time()
        receipts = connection.ledger.read_all([Run(TENANT, job, 1) for job in jobs])
        settled = list(itertools.chain.from_iterable(by_unit.values() for by_unit in receipts))
        if any(receipt.outcome == "cached" for receipt in settled):
            raise RuntimeError("A unit was answered from a cache.")
        return Heard([each.text for each in found], busy_shares(settled, started, ended))

    def batches(self) -> Batches:
        """What all batches had so far."""
        registry = CollectorRegistry()
        directory = str(self._cluster.services.settings.metrics_dir)
        MultiProcessCollector(registry, path=directory)
        totals = [
            registry.get_sample_value(f"scriptorium_{name}_total") or 0.0
            for name in ("batched_windows", "batch_room")
        ]
        return Batches(*totals)

    def _submit(self, path: Path, more: Mapping[str, Any] | None = None) -> str:
        options = job_options({**self._options, **(more or {})})
        source = upload(self._cluster.services, path, TENANT)
        return submit(self._cluster.services, source, options, tenant=TENANT).id

    def _wait(self, jobs: Sequence[str]) -> None:
        for job in follow(self._cluster.services, TENANT, jobs):
            if job.status.final and job.status != "completed":
                raise RuntimeError(f"Job {job.id} is {job.status}: {job.error}")


def options_of_job(setup: Setup) -> dict[str, Any]:
    """What differs from a job's defaults."""
    told = {
        "model": setup.model,
        "compute_type": COMPUTE_TYPE,
        "language": "en",
        "beam_size": 1,
        "aligner": "cross_attention",  # the peers have no second model either
    }
    if setup.forced_tokens is None:
        return told
    from benchmarks.speed.random_whisper import END_OF_TEXT

    return told | {
        "suppress_tokens": [-1, END_OF_TEXT],
        "max_new_tokens": setup.forced_tokens,
        "word_timestamps": False,
        "no_speech_threshold": None,
        "temperature_increment_on_fallback": None,
    }


def load(setup: Setup) -> OurCluster:
    """Not started yet."""
    return OurCluster(options_of_job(setup), setup.threads)
