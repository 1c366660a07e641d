"""Dead letters: the units of jobs that were given up, each with its error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.cluster.unreadable import FAULTS, note
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.json_artifacts import json_object, read_record


def dead_letters(
    store: ArtifactStore, tenant: str | None, after: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the JSON of each dead letter behind a name, in the order of names.

    Without a tenant those of all, each with its own. A letter that a retry or a deletion removes
    meanwhile is left out. Raises StoreUnavailable.
    """
    folder = keys.DEAD_LETTERS if tenant is None else f"{keys.DEAD_LETTERS}{tenant}/"
    for key in store.list(folder, keys.DEAD_LETTERS + after if after else ""):
        try:
            owner, job, run, stage, index = key.split("/")[1:]
            place = {"job": job, "run": int(run), "stage": stage, "chunk": int(index)}
            of_tenant = {} if tenant is not None else {"tenant": owner}
            letter = of_tenant | place | read_record(store, key, json_object)
        except ArtifactMissing:  # removed since it was listed
            continue
        except FAULTS as error:  # a stray object
            note(key, error)
        else:
            yield key.removeprefix(keys.DEAD_LETTERS), letter
