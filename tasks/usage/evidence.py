"""Read the receipts of a run's units from the store: of a run that ended without `assemble`.

So end runs that were canceled or whose job was deleted, those that failed at an early stage, and
those whose last stage was given up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from tasks.artifacts import ArtifactMissing, ArtifactStore, exists
from tasks.runs import keys
from tasks.runs.dependencies import fan_in, header_chains, needs_detection
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

_FIRST = (Stage.PREPARE, Stage.DETECT_LANGUAGE)
READERS = 16  # artifacts fetched at once
Receipt = dict[str, Any]


class Evidence:
    """The receipts in a store. Methods raise what the store raises, and UnreadableRecord."""

    def __init__(self, store: ArtifactStore, records: Records) -> None:
        self._store = store
        self._records = records

    def receipts(self, run: Run) -> dict[Stage, list[Receipt]]:
        """Return the receipts of all units of a run whose artifact is there, by stage."""
        found: dict[Stage, list[Receipt]] = {}
        prepared = self.prepared(run)
        if prepared is None:
            return found
        found[Stage.PREPARE] = [prepared]
        detected = self.detected(run)
        if detected is not None:
            found[Stage.DETECT_LANGUAGE] = [detected]
        keyed = self._keyed(run)
        with ThreadPoolExecutor(READERS) as pool:
            receipts = pool.map(self._receipt, (key for _, key in keyed))
            for (unit, _), receipt in zip(keyed, receipts, strict=True):
                if receipt is not None:
                    found.setdefault(unit.stage, []).append(receipt)
        return found

    def prepared(self, run: Run) -> Receipt | None:
        """Return the receipt of `prepare`, with the length of the audio; None without a plan."""
        receipt = self._receipt(keys.plan(run.tenant, run.job))
        if receipt is None:
            return None
        return receipt | {"audio_seconds": self._records.plan(run.tenant, run.job).seconds}

    def detected(self, run: Run) -> Receipt | None:
        """Return the receipt of `detect_language`; None if it was not needed or not done."""
        if not needs_detection(self._records.manifest(run.tenant, run.job).options):
            return None
        receipt = self._receipt(self._records.key(run.unit(Stage.DETECT_LANGUAGE)))
        if receipt is None:
            return None
        return receipt | {"audio_seconds": self._records.plan(run.tenant, run.job).seconds}

    def unit_keys(self, run: Run) -> list[str]:
        """Return the keys of the artifacts of a run's units, as far as they are known."""
        try:
            own = [self._records.key(run.unit(stage)) for stage in _FIRST]
        except ArtifactMissing:  # there is no plan yet
            own = [self._records.key(run.unit(Stage.PREPARE))]
        return own + [key for _, key in self._keyed(run)]

    def _keyed(self, run: Run) -> Sequence[tuple[Unit, str]]:
        """Return the units behind `fan_out`, each with its artifact's key."""
        try:
            options = self._records.resolved(run).options
            plan = self._records.plan(run.tenant, run.job)
            units = chain(*header_chains(run, options, plan), fan_in(run, options, plan))
            return self._records.keyed(it for it in units if it.stage is not Stage.ASSEMBLE)
        except ArtifactMissing:  # language and models were not known yet
            return ()

    def _receipt(self, key: str) -> Receipt | None:
        """Return the receipt of an artifact; None without the artifact or without a receipt."""
        if key.endswith(".json"):
            receipt = (self._read(key) or {}).get("receipt")
            return receipt if isinstance(receipt, dict) else None
        return self._read(keys.receipt(key)) if exists(self._store, key) else None

    def _read(self, key: str) -> dict[str, Any] | None:
        """Return the JSON object of an artifact; None if there is none."""
        try:
            data = json.loads(self._store.get(key))
        except (ArtifactMissing, ValueError):
            return None
        return data if isinstance(data, dict) else None
