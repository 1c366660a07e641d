"""Transcribe a labelled set by each side of a comparison, on a cluster that is started for it.

The cluster has one worker with models, which has the machine to itself, and a store that is removed
with it. Each side is a tenant, so it finds nothing that another side has computed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from config.settings import Settings
from gpu_worker.accuracy.labelled import LabelledFile
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.evaluation.costs import costs_of
from orchestrator.evaluation.scoring import known_error
from orchestrator.evaluation.variants import Variant
from orchestrator.jobs.options import allowing
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.fitness import check_workers
from tasks.runs.units import Run
from tasks.usage.figures import Figures
from tasks.usage.record import Place

# What a cluster that serves tenants may have, and this one must not.
_NOT_HERE: Mapping[str, Any] = {
    "redis_url": None, "redis_password": None, "broker_url": None, "store_url": None,
    "trial": {}, "shadow": {}, "quotas": {}, "budgets": {}, "retention": {},
    "pools": {}, "worker_pool": "", "prefetch_models": "", "metrics_port": None,
    "metrics_dir": None, "otlp_endpoint": None, "heartbeat_file": None, "self_test": False,
}  # fmt: skip
Watch = Callable[[Cluster, list[Job], Callable[[], None]], list[Job]]  # until all have ended


@dataclass(frozen=True, slots=True)
class HeardFile:
    """What a side made of one recording, and what that took."""

    transcript: Mapping[str, Any]
    figures: Mapping[Place, Figures]  # of the stages with models

    @property
    def audio_seconds(self) -> float:
        """The length of the recording."""
        return float(self.transcript["duration"])

    @property
    def device_seconds(self) -> float:
        """Seconds of the device: of a card, or of all cores that the models use."""
        return sum(each.device_seconds for each in self.figures.values())


def transcribed(
    files: Sequence[LabelledFile], sides: Sequence[Variant], values: Settings, watch: Watch
) -> Generator[list[HeardFile]]:
    """Yield what each side makes of the recordings, one side after the other.

    The shortest recording is heard once before, so that loading models counts for none. Raises what
    starting a cluster and submitting raise, and for a job that fails its own error.
    """
    shortest = min(files, key=lambda file: file.path.stat().st_size)
    for _, group in groupby(sides, lambda side: side.worker):
        alike = list(group)  # in what workers are started with
        with tempfile.TemporaryDirectory(prefix="scriptorium-eval-") as home:
            settings = alike[0].settings(values)
            settings = settings.model_copy(update={**_NOT_HERE, "home": Path(home)})
            for side in alike:
                settings = allowing(settings, side.options)
            with LocalCluster(settings, workers=1, adopt=False) as local:
                for side in alike:
                    _heard(local, [shortest], side, f"warm-up-{side.name}", watch)
                    yield _heard(local, files, side, f"side-{side.name}", watch)


def _heard(
    local: LocalCluster,
    files: Sequence[LabelledFile],
    side: Variant,
    tenant: str,
    watch: Watch,
) -> list[HeardFile]:
    cluster = local.services
    jobs = [
        submit(cluster, upload(cluster, file.path, tenant), side.options, tenant=tenant)
        for file in files
    ]
    check = partial(check_workers, local.supervisor)
    found = []
    for file, job in zip(files, watch(cluster, jobs, check), strict=True):
        if job.error is not None:
            raise known_error(job.error, f"{side.given}, {file.name}: ")
        run = Run(tenant, job.id, job.run)
        transcript = cluster.result(tenant, job.id)["transcript"]
        found.append(HeardFile(transcript, costs_of(cluster, run)))
    return found
