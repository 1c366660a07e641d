"""Dead letters: the units of a tenant's jobs that were given up, each with its error."""

from __future__ import annotations

import json
from typing import Any

from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys


def read_dead_letters(store: ArtifactStore, tenant: str) -> list[dict[str, Any]]:
    """Return each dead letter as JSON: its job, run, stage and chunk, and the error's fields.

    Raises StoreUnavailable. A letter that a retry or a deletion removes meanwhile is left out.
    """
    letters = []
    for key in store.list(f"{keys.DEAD_LETTERS}{tenant}/"):
        job, run, stage, index = key.split("/")[2:]
        try:
            error = json.loads(store.get(key))
        except ArtifactMissing:  # removed since it was listed
            continue
        letters.append({"job": job, "run": int(run), "stage": stage, "chunk": int(index)} | error)
    return letters
