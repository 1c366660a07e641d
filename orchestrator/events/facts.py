"""Read the facts of one run from Redis and the store, and the text of its chunks.

Every method may raise redis.RedisError or StoreUnavailable unless it says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from gpu_worker.heard import ChunkTranscript
from gpu_worker.transcript import Segment, segment_to_json
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.events import Facts
from tasks.artifacts import ArtifactMissing, exists
from tasks.runs import keys
from tasks.runs.dependencies import chunk_stages
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.runs.vocabulary import vocabulary_of


class FactsReader:
    """Reads the facts from which a job's events are derived."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def newest_run(self, tenant: str, job: str) -> int:
        """Return the number of the job's newest run. Raises UnknownJob."""
        return self._cluster.job(tenant, job).run

    def newest_known(self, tenant: str, job: str, run: int) -> int:
        """Return the number of this run or of a later one that Redis knows. Raises nothing."""
        with suppress(RedisError):
            return max(run, self._cluster.jobs.run_number(tenant, job))
        return run

    def read(self, tenant: str, job: str, run: int) -> Facts | None:
        """Return the run's facts now; None while Redis has lost the job. Raises UnknownJob."""
        cluster = self._cluster
        found = cluster.jobs.find(tenant, job)
        if found is None:
            # Not restored from here: the reconciler restores it, or the next request for the job.
            is_deleted = exists(cluster.store, keys.tombstone(tenant, job))
            if is_deleted or not exists(cluster.store, keys.manifest(tenant, job)):
                raise UnknownJob(f"There is no job {job!r}.")
            return None
        manifest, newest, summary = found
        this = Run(tenant, job, run)
        # History before receipts: so each entry that was read has a receipt.
        history = cluster.ledger.history(this)
        receipts = cluster.ledger.read(this)
        is_assembled = (Stage.ASSEMBLE, 0) in (settled for _, settled in history)
        if this != newest or (summary is None and is_assembled):
            summary = cluster.settle(this)
        manifest = cluster.run_manifest(manifest, this, receipts, summary)
        return Facts(manifest, run, cluster.plan(tenant, job), history, receipts, summary)

    def text(self, facts: Facts, chunk: int) -> Sequence[dict[str, Any]]:
        """Return a chunk's segments: the aligned ones if there are any; none if it was given up."""
        manifest = facts.manifest
        run = Run(manifest.tenant, manifest.job, facts.run)
        if facts.plan and facts.plan.channels:
            return self._published(run)
        for stage in reversed(chunk_stages(manifest.options)):
            receipt = facts.receipts.get((stage, chunk))
            if receipt and receipt.outcome == "failed":
                continue
            try:
                key = self._cluster.records.key(run.unit(stage, chunk))
                heard = ChunkTranscript.from_json(self._read(key))
            except ArtifactMissing:
                continue
            segments = self._written(manifest, facts.plan, heard.segments)
            if manifest.options.aligner == "none":
                segments = tuple(replace(segment, words=()) for segment in segments)
            return [segment_to_json(segment) for segment in segments]
        return []

    def _written(
        self, manifest: Manifest, plan: Plan | None, heard: Sequence[Segment]
    ) -> Sequence[Segment]:
        """Return segments as the job's vocabulary wants them: masked words never show."""
        vocabulary = vocabulary_of(self._cluster.store, manifest)
        if vocabulary is None or plan is None:
            return heard
        language = self._cluster.records.language(manifest, plan)
        return vocabulary.writer(manifest.options.task).segments(heard, language)

    def _published(self, run: Run) -> Sequence[dict[str, Any]]:
        """Return the segments of the whole file."""
        transcript = self._read(keys.of_run(run, keys.RESULT))["transcript"] or {}
        segments: list[dict[str, Any]] = transcript.get("segments", [])
        return segments

    def _read(self, key: str) -> dict[str, Any]:
        """Read JSON, with None for NaN and infinities: an engine may give NaN as a score."""
        data: dict[str, Any] = json.loads(
            self._cluster.store.get(key), parse_constant=lambda _: None
        )
        return data
