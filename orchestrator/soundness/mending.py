"""Carry out what `findings.py` decides: writes to the store, each of which any process understands.

Nothing of it needs Redis. A running reconciler takes up what is open or owed, counts what is marked
and ends deletions; each write can be done twice.
"""

from __future__ import annotations

import time
from contextlib import suppress

from orchestrator.cluster.ended_jobs import FINAL, ended_key
from orchestrator.cluster.job_index import newest_run
from orchestrator.collections import places
from orchestrator.jobs.deletion import Tombstone, contents_of
from orchestrator.soundness.findings import Action, Finding, Kind
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord, json_object, read_record
from tasks.runs.records import Records


def mend(store: ArtifactStore, finding: Finding) -> bool:
    """Make one thing sound; return whether there was anything to do.

    Raises the store's errors, and ValueError where a stray object lies in the place of a folder.
    """
    if finding.action is Action.WRITE:
        store.put(finding.key, finding.content)
    elif finding.action is Action.DELETE:
        store.delete(finding.key)
    elif finding.action is Action.LIST:
        _list(store, finding)
    elif finding.kind is Kind.LIST_LOST:
        _bury_collection(store, finding)
    elif finding.action is Action.BURY:
        _bury(store, finding)
    else:
        return False
    return True


def _bury(store: ArtifactStore, finding: Finding) -> None:
    """Write the tombstone of a half job, or of contents that no job has.

    It says all that it releases: deletions that share a content wait for each other by that.
    """
    tenant, job = finding.tenant, finding.job
    runs = newest_run(store, tenant, job).number
    own = list(store.list(keys.job(tenant, job)))
    named = contents_of(store, Records(store), tenant, job, own)
    contents = dict.fromkeys(finding.contents, ()) | named
    stone = Tombstone(tenant, job, round(time.time(), 3), runs, contents)
    store.put(stone.key, stone.to_bytes())


def _bury_collection(store: ArtifactStore, finding: Finding) -> None:
    record = places.record(finding.tenant, finding.job)
    with suppress(ArtifactMissing, UnreadableRecord):
        stone = read_record(store, record, json_object) | {"deleted_at": time.time()}
        store.put(places.deleted(finding.tenant, finding.job), encode(stone))
        store.delete(record)


def _list(store: ArtifactStore, finding: Finding) -> None:
    """Write the job's name in the index under its status, then remove the others."""
    store.put(finding.key, b"")
    for status in FINAL:
        if finding.place is not None and status is not finding.status:
            store.delete(ended_key(finding.tenant, finding.place, status))
