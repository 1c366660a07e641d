"""A job's records, read from the store: manifest, choice, plan and language; keys of its units.

Records never change, so each process keeps in memory those that it has read: some parsed, and if
it follows very many jobs, many more as they are in the store, packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, TypeVar

from cachetools import LRUCache

from gpu_worker.models.whisper import AUTO
from gpu_worker.transcript import TranscriptWarning
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.dependencies import is_settled
from tasks.runs.json_artifacts import UnreadableRecord, json_object, parsed_record, read_record
from tasks.runs.manifest import Choice, Manifest, Plan
from tasks.runs.stages import Scope, Stage
from tasks.runs.units import Run, Unit

REMEMBERED = 4096
OVERHEAD_BYTES = 400  # of a packed record in memory: its key, and its place in the cache
T = TypeVar("T")


class Records:
    """Reads records. Every method raises ArtifactMissing for a record not written yet.

    It raises UnreadableRecord for one that is broken, or has a value of a later release.
    """

    def __init__(
        self, store: ArtifactStore, remembered: int = REMEMBERED, packed_bytes: int = 0
    ) -> None:
        """Keep `remembered` parsed records, and packed ones of `packed_bytes` in all."""
        self._store = store
        self._known: LRUCache[str, Any] = LRUCache(remembered)
        self._packed: LRUCache[str, bytes] = LRUCache(packed_bytes, _size)
        self._lock = Lock()

    def manifest(self, tenant: str, job: str) -> Manifest:
        """Return the job as it was accepted."""
        manifest: Manifest = self._read(keys.manifest(tenant, job), Manifest.of_artifact)
        return manifest

    def plan(self, tenant: str, job: str) -> Plan:
        """Return the job's audio and chunks."""
        plan: Plan = self._read(keys.plan(tenant, job), Plan.of_artifact)
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
        """Return the language as given, else as detected; None if there is no speech.

        None also where a file of several languages is said to be in none above all.
        """
        if manifest.options.language is not None or manifest.options.languages is not None:
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

    def keyed(self, units: Iterable[Unit]) -> list[tuple[Unit, str]]:
        """Return units of one run, each with what `key` gives for it; quicker for many chunks."""
        found: list[tuple[Unit, str]] = []
        chunk_key: Callable[[Unit], str] | None = None
        for unit in units:
            if unit.stage.definition.scope is not Scope.CHUNK:
                found.append((unit, self.key(unit)))
                continue
            if chunk_key is None:
                self.key(unit)  # raises what it raises
                chunk_key = self._chunk_keys(unit.run)
            found.append((unit, chunk_key(unit)))
        return found

    def _chunk_keys(self, run: Run) -> Callable[[Unit], str]:
        manifest, plan = self.resolved(run), self.plan(run.tenant, run.job)
        spoken = self.language(manifest, plan)
        marks: dict[Stage, str] = {}

        def key(unit: Unit) -> str:
            stage, index = unit.stage, unit.index
            if stage not in marks:
                marks[stage] = keys.chunk_mark(stage, manifest.options, spoken)
            audio, chunk = plan.chunk_audio(index), plan.chunks[index]
            return keys.marked_chunk(stage, run.tenant, audio, chunk, marks[stage])

        return key

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
            for key in (keys.manifest(tenant, job), keys.plan(tenant, job)):
                self._known.pop(key, None)
                self._packed.pop(key, None)

    def remembers(self, tenant: str, job: str) -> bool:
        """Return whether the job's manifest and plan are in memory."""
        wanted = (keys.manifest(tenant, job), keys.plan(tenant, job))
        with self._lock:
            return all(key in self._known or key in self._packed for key in wanted)

    def _read(self, key: str, parse: Callable[[Any], Any]) -> Any:
        with self._lock:
            if key in self._known:
                return self._known[key]
            packed = self._packed.get(key)
        data = self._store.get(key) if packed is None else zlib.decompress(packed)
        record = parsed_record(key, data, parse)
        with self._lock:
            self._known[key] = record
            if packed is None and self._packed.maxsize:
                packed = zlib.compress(data, 1)
                if _size(packed) <= self._packed.maxsize:
                    self._packed[key] = packed
        return record


def _size(packed: bytes) -> int:
    return len(packed) + OVERHEAD_BYTES


def given_up(store: ArtifactStore, run: Run) -> Iterator[tuple[Stage, int]]:
    """Yield the units of a run that were given up, by their names; stray objects are passed over.

    Those of a stage of a later release are passed over too.
    """
    prefix = keys.of_run(run, "failed/")
    for key in store.list(prefix):
        unit = failed_unit(key.removeprefix(prefix))
        if unit is not None:
            yield unit


def failed_unit(name: str) -> tuple[Stage, int] | None:
    """Return the unit of a name below `failed/`, such as `align/3.json`; None for a stray one."""
    try:
        stage, index = name.removesuffix(".json").split("/")
        return Stage(stage), int(index)
    except ValueError:
        return None


def failures(store: ArtifactStore, run: Run) -> dict[tuple[Stage, int], dict[str, Any]]:
    """Return the errors of a run's units that were given up, by stage and index."""
    found: dict[tuple[Stage, int], dict[str, Any]] = {}
    for stage, index in given_up(store, run):
        key = keys.failed(run.unit(stage, index))
        try:
            found[stage, index] = read_record(store, key, json_object)
        except UnreadableRecord as error:
            found[stage, index] = error.to_json()  # it was given up, for a reason that is lost
    return found


def json_result(data: Any) -> dict[str, Any]:
    """Return the body of a `result.json`. Raises TypeError or LookupError for what is none."""
    result = json_object(data)
    if result["transcript"] is not None:
        json_object(result["transcript"])
    return result


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
