"""The states of a collection's jobs, as Redis has them."""

from __future__ import annotations

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Summary
from orchestrator.collections.records import Outcome
from orchestrator.collections.states import States
from tasks.runs.units import Run
from tests.inputs.examples import TENANT, a_manifest, a_run

TURN = Run(TENANT, "collection", 1)
ENDS = {
    "completed": Summary(),
    "failed": Summary(error={"code": "unreadable_audio"}),
    "partial": Summary(missing=1),
    "canceled": Summary(canceled=True),
}


@pytest.fixture
def states(connection: Cluster) -> States:
    """Five jobs, of which one is open."""
    for name, summary in ENDS.items():
        connection.jobs.add(a_manifest(name), a_run(job=name))
        connection.jobs.close(a_run(job=name), summary)
    connection.jobs.add(a_manifest("open"), a_run(job="open"))
    found = States(connection.redis)
    found.add(TURN, [Outcome(number, job=job) for number, job in enumerate((*ENDS, "open"))], 5)
    return found


def letters(states: States) -> str:
    return "".join(state.letter for state in sorted(states.read(TURN), key=lambda it: it.number))


def test_each_job_has_the_state_that_it_ended_in(states: States) -> None:
    assert letters(states) == "cfpxq"


def test_what_is_noted_of_a_job_that_redis_does_not_know_counts_until_it_runs_again(
    states: States, connection: Cluster
) -> None:
    connection.redis.delete(*(f"scriptorium:job:{TENANT}/{name}" for name in ENDS))
    assert letters(states) == "????q"
    states.note(TURN, dict(enumerate("cfpx")))
    assert letters(states) == "cfpxq"
    connection.jobs.add(a_manifest("failed"), a_run(2, job="failed"))
    assert letters(states) == "cqpxq"
    connection.jobs.close(a_run(2, job="failed"), Summary())
    connection.redis.delete(f"scriptorium:job:{TENANT}/failed")
    assert letters(states) == "c?pxq"
