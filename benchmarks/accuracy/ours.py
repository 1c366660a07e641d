"""Our own side: jobs on a local cluster, as a user runs them, read through its results.

Redis, the workers and the reconciler are real. Words are timed by cross-attention, which
needs no second model. One worker has the model and all cores, as each peer has: int8 gives
other words with another number of threads on processors without VNNI (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.accuracy.models import WhisperFiles
from benchmarks.accuracy.peers import COMPUTE_TYPE
from benchmarks.accuracy.recordings import Recording
from config.settings import Settings
from gpu_worker.transcript import Transcript, transcript_from_json
from orchestrator.jobs.following import follow
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from tasks.runs.submitted_options import job_options

NAME, GREEDY = "ours", "ours, greedy"
SETTINGS = {
    NAME: "through a cluster: its defaults, which are beam 5 with these models, its VAD, windows "
    "of 30 s, no timestamp tokens, fallback",
    GREEDY: "the same with one beam; for comparison only",
}
JOB_OPTIONS: dict[str, dict[str, Any]] = {NAME: {}, GREEDY: {"beam_size": 1}}
TENANT = "default"
DIARIZE = {"diarize": True, "diarize_model": "pico-voice"}  # the one that every machine has


class OurCluster:
    """A local cluster of one worker with models; use as a context manager."""

    def __init__(self, home: Path) -> None:
        self._cluster = LocalCluster(Settings(home=home), workers=1, adopt=False)

    def __enter__(self) -> Self:
        self._cluster.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.close()

    def transcribe(
        self, files: WhisperFiles, chosen: Sequence[Recording], extra: Mapping[str, Any]
    ) -> dict[str, Transcript]:
        """One job a recording, all at once; transcripts by name. `extra` are job options.

        Raises RuntimeError for a job that does not complete.
        """
        connection = self._cluster.services
        jobs: dict[str, str] = {}
        for recording in chosen:
            options = job_options(
                {
                    "model": files.job,
                    "compute_type": COMPUTE_TYPE,
                    "language": recording.language,
                    "aligner": "cross_attention",
                    **extra,
                }
            )
            source = upload(connection, recording.path, TENANT)
            jobs[recording.name] = submit(connection, source, options, tenant=TENANT).id
        for job in follow(connection, TENANT, list(jobs.values())):
            if job.status.final and job.status != "completed":
                raise RuntimeError(f"Job {job.id} is {job.status}: {job.error}")
        return {
            name: transcript_from_json(connection.result(TENANT, job)["transcript"])
            for name, job in jobs.items()
        }
