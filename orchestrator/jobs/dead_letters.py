"""Dead letters: the units of a tenant's jobs that were given up, each with its error."""

from __future__ import annotations

from typing import Any

from orchestrator.cluster.unreadable import FAULTS, note
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.json_artifacts import json_object, read_record


def read_dead_letters(store: ArtifactStore, tenant: str) -> list[dict[str, Any]]:
    """Return each dead letter as JSON: its job, run, stage and chunk, and the error's fields.

    Raises StoreUnavailable. A letter that a retry or a deletion removes meanwhile is left out.
    """
    letters = []
    for key in store.list(f"{keys.DEAD_LETTERS}{tenant}/"):
        try:
            job, run, stage, index = key.split("/")[2:]
            place = {"job": job, "run": int(run), "stage": stage, "chunk": int(index)}
            letters.append(place | read_record(store, key, json_object))
        except ArtifactMissing:  # removed since it was listed
            continue
        except FAULTS as error:  # a stray object
            note(key, error)
    return letters
