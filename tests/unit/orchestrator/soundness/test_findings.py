"""What is unsound and what is done about it, by names alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cluster.job import Status
from orchestrator.cluster.job_folder import JobFolder
from orchestrator.soundness.findings import (
    Action,
    CollectionFacts,
    EndFacts,
    JobFacts,
    Kind,
    RecordFacts,
    collection_findings,
    end_findings,
    job_findings,
    open_findings,
)
from tests.inputs.examples import JOB, TENANT, a_run

RESULT = "runs/1/result.json"
RETRIED = "runs/2/started.json"


def facts(*names: str, opened: tuple[int, ...] = (), **known: Any) -> JobFacts:
    return JobFacts(JobFolder(TENANT, JOB, frozenset(names)), frozenset(opened), **known)


@pytest.mark.parametrize(
    ("names", "opened", "kinds"),
    [
        (("manifest.json",), (), [Kind.RUN_NOT_OPEN]),
        (("manifest.json",), (1,), []),
        (("manifest.json", RESULT), (), []),
        (("manifest.json", RESULT), (1,), []),  # it is closed by itself
        (("manifest.json", "runs/1/canceled"), (), [Kind.RUN_NOT_OPEN]),  # then it is ended
        (("manifest.json", RESULT, RETRIED), (), [Kind.RUN_NOT_OPEN]),
        (("manifest.json", RESULT, RETRIED), (2,), []),
        (("manifest.json", RETRIED), (1, 2), [Kind.EARLIER_RUN_OPEN]),
        (("manifest.json", RETRIED), (1,), [Kind.EARLIER_RUN_OPEN, Kind.RUN_NOT_OPEN]),
        (("plan.json",), (), [Kind.REST_OF_JOB]),
        ((), (1,), [Kind.REST_OF_JOB]),
        ((), (), []),
    ],
)
def test_a_job_has_its_manifest_and_a_marker_or_an_end(
    names: tuple[str, ...], opened: tuple[int, ...], kinds: list[Kind]
) -> None:
    found = facts(*names, opened=opened)
    assert [it.kind for it in job_findings(found)] == kinds
    assert job_findings(replace(found, is_deleted=True)) == ()  # its deletion goes on
    assert job_findings(replace(found, is_young=True)) == ()


def test_claims_alone_are_buried_with_what_they_hold() -> None:
    (found,) = job_findings(facts(claims=("ab", "cd")))
    assert (found.action, found.contents) == (Action.BURY, ("ab", "cd"))


def an_end(**changes: Any) -> EndFacts:
    known: dict[str, Any] = {
        "is_counted": True,
        "owes": False,
        "status": Status.PARTIAL,
        "listed": {Status.PARTIAL},
        "place": (1.0, JOB),
        "now": 2.0,
    }
    return EndFacts(a_run(), **(known | changes))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"is_counted": False, "owes": True}, [Kind.USE_NOT_COUNTED, Kind.NOT_OWED]),
        ({"listed": set()}, [Kind.INDEX_WRONG]),
        ({"listed": {Status.COMPLETED}}, [Kind.INDEX_WRONG]),
        ({"listed": {Status.PARTIAL, Status.FAILED}}, [Kind.INDEX_WRONG]),
        ({"listed": set(), "status": None}, []),  # its result cannot be read
    ],
)
def test_an_end_is_counted_owed_and_listed(changes: dict[str, Any], kinds: list[Kind]) -> None:
    assert [it.kind for it in end_findings(an_end(**changes))] == kinds


def test_records_that_name_what_is_lost_are_forgotten_and_a_lost_source_is_only_told() -> None:
    lost = RecordFacts(
        a_run(),
        lost_audio=("pcm",),
        lacks_language=True,
        lost_sources=("source",),
        not_claimed=("claim",),
        lost_key="key",
    )
    assert {it.kind: (it.action, it.key) for it in open_findings(lost)} == {
        Kind.SOURCE_LOST: (Action.NOTHING, "source"),
        Kind.AUDIO_LOST: (Action.DELETE, f"tenants/{TENANT}/jobs/{JOB}/plan.json"),
        Kind.LANGUAGE_LOST: (Action.DELETE, f"tenants/{TENANT}/jobs/{JOB}/runs/1/choice.json"),
        Kind.NOT_CLAIMED: (Action.WRITE, "claim"),
        Kind.KEY_LOST: (Action.WRITE, "key"),
    }
    assert open_findings(RecordFacts(a_run())) == ()


def a_collection(**changes: Any) -> CollectionFacts:
    known: dict[str, Any] = {"has_record": True, "has_lines": True, "has_names": True}
    return CollectionFacts(a_run(2, job="c-1"), **(known | changes))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"opened": {2}}, []),
        ({}, [Kind.ROUND_NOT_OPEN]),
        ({"has_ended": True}, []),
        ({"has_ended": True, "is_delivered": False}, [Kind.ROUND_NOT_OWED]),
        ({"has_lines": False, "opened": {2}}, [Kind.LIST_LOST]),
        ({"has_record": False}, [Kind.REST_OF_COLLECTION]),
        ({"has_record": False, "opened": {1}}, []),  # the age of its marker decides
        ({"has_record": False, "is_young": True}, []),
        ({"is_deleted": True}, []),
    ],
)
def test_a_collection_has_its_lines_and_an_open_round_or_an_end(
    changes: dict[str, Any], kinds: list[Kind]
) -> None:
    assert [it.kind for it in collection_findings(a_collection(**changes))] == kinds
