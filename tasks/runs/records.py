"""A job's records, read from the store: manifest, choice, plan and language; keys of its units.

Records never change, so each process keeps in memory those that it has read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from cachetools import LRUCache

from gpu_worker.models.whisper import AUTO
from gpu_worker.transcript import TranscriptWarning
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.dependencies import is_settled
from tasks.runs.manifest import Choice, Manifest, Plan
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

REMEMBERED = 4096


class Records:
    """Reads records. Every method raises ArtifactMissing for a record not written yet."""

    def __init__(self, store: ArtifactStore, remembered: int = REMEMBERED) -> None:
        self._store = store
        self._known: LRUCache[str, Any] = LRUCache(remembered)
        self._lock = Lock()

    def manifest(self, tenant: str, job: str) -> Manifest:
        """Return the job as it was accepted."""
        manifest: Manifest = self._read(keys.manifest(tenant, job), Manifest.model_validate)
        return manifest

    def plan(self, tenant: str, job: str) -> Plan:
        """Return the job's audio and chunks."""
        plan: Plan = self._read(keys.plan(tenant, job), _plan)
        return plan

    def resolved(self, run: Run) -> Manifest:
        """Return the manifest with the models that were chosen for the run.

        While there is no choice, return the manifest as accepted: a worker of an older release
        may have begun the run.
        """
        return self._chosen(run)[0]

    def choice_warnings(self, run: Run) -> tuple[TranscriptWarning, ...]:
        """Return the transcript's warnings about the models that were chosen for the run."""
        return self._chosen(run)[1].warnings

    def _chosen(self, run: Run) -> tuple[Manifest, Choice]:
        manifest = self.manifest(run.tenant, run.job)
        if is_settled(manifest.options):
            return manifest, Choice()
        try:
            found: tuple[Manifest, Choice] = self._read(
                keys.of_run(run, keys.CHOICE),
                lambda data: ((choice := Choice.of_artifact(data)).applied(manifest), choice),
            )
        except ArtifactMissing:
            return manifest, Choice()
        return found

    def language(self, manifest: Manifest, plan: Plan) -> str | None:
        """Return the language as given, else as detected; None if there is no speech."""
        if manifest.options.language is not None:
            return manifest.options.language
        key = keys.language(manifest.tenant, plan.heard, manifest.options)
        language: str | None = self._read(key, lambda data: data["language"])
        return language

    def key(self, unit: Unit) -> str:
        """Return the key of a unit's artifact, whose presence means that the unit is done."""
        if unit.stage is Stage.PREPARE:
            return keys.plan(unit.run.tenant, unit.run.job)
        if unit.stage is Stage.ASSEMBLE:
            return keys.of_run(unit.run, keys.RESULT)
        if unit.stage is Stage.DETECT_LANGUAGE:
            return self._detected(unit)
        manifest = self.resolved(unit.run)
        plan, options = self.plan(unit.run.tenant, unit.run.job), manifest.options
        if options.model == AUTO:
            raise ArtifactMissing(keys.of_run(unit.run, keys.CHOICE))
        if unit.stage is Stage.EMBED_SPEAKERS:
            return keys.embedded(unit.run.tenant, plan.audio, unit.index, options)
        if unit.stage is Stage.DIARIZE:
            return keys.diarized(unit.run.tenant, plan.audio, options)
        return keys.of_chunk(
            unit.stage,
            unit.run.tenant,
            plan.chunk_audio(unit.index),
            plan.chunks[unit.index],
            options,
            self.language(manifest, plan),
        )

    def _detected(self, unit: Unit) -> str:
        """Return the key that ends `detect_language`: the choice's, or the language's without one.

        The choice is written after the language.
        """
        manifest = self.manifest(unit.run.tenant, unit.run.job)
        if not is_settled(manifest.options):
            return keys.of_run(unit.run, keys.CHOICE)
        plan = self.plan(unit.run.tenant, unit.run.job)
        return keys.language(unit.run.tenant, plan.heard, manifest.options)

    def forget(self, tenant: str, job: str) -> None:
        """Drop the job's manifest and plan from memory, so that they are read again."""
        with self._lock:
            self._known.pop(keys.manifest(tenant, job), None)
            self._known.pop(keys.plan(tenant, job), None)

    def _read(self, key: str, parse: Callable[[Any], Any]) -> Any:
        with self._lock:
            if key in self._known:
                return self._known[key]
        record = parse(json.loads(self._store.get(key)))
        with self._lock:
            self._known[key] = record
        return record


def _plan(data: dict[str, Any]) -> Plan:
    return Plan.model_validate({name: it for name, it in data.items() if name != "receipt"})


def failures(store: ArtifactStore, run: Run) -> dict[tuple[Stage, int], dict[str, Any]]:
    """Return the errors of a run's units that were given up, by stage and index."""
    prefix = keys.of_run(run, "failed/")
    found: dict[tuple[Stage, int], dict[str, Any]] = {}
    for key in store.list(prefix):
        stage, index = key.removeprefix(prefix).removesuffix(".json").split("/")
        found[Stage(stage), int(index)] = json.loads(store.get(key))
    return found


def result_record(
    *,
    transcript: dict[str, Any] | None = None,
    missing: Sequence[dict[str, Any]] = (),
    error: dict[str, Any] | None = None,
    canceled: bool = False,
) -> dict[str, Any]:
    """Return the body of `result.json`, the artifact that ends a run."""
    return {
        "transcript": transcript,
        "missing": list(missing),
        "error": error,
        "canceled": canceled,
    }
