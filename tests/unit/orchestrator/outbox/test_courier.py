"""Which runs a courier delivers next."""

from __future__ import annotations

from orchestrator.outbox.courier import TENANT_THREADS, THREADS, next_runs
from tasks.runs.units import Run


def runs(tenant: str, count: int, first: int = 0) -> list[Run]:
    return [Run(tenant, f"job-{number}", 1) for number in range(first, first + count)]


def test_a_tenant_s_many_receivers_leave_threads_to_others() -> None:
    many, other = runs("a", 100), runs("b", 1)
    chosen = next_runs([*many, *other], ())
    assert chosen == [*many[:TENANT_THREADS], *other]
    assert next_runs(other, many[:TENANT_THREADS]) == other
    assert next_runs(many[TENANT_THREADS:], many[:TENANT_THREADS]) == []


def test_no_more_runs_are_taken_than_there_are_threads() -> None:
    taken = [run for tenant in "abcdef" for run in runs(tenant, 3)]
    assert next_runs(taken, ()) == taken[:THREADS]
    assert next_runs(taken, runs("z", THREADS - 1)) == taken[:1]
