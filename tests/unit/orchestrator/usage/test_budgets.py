"""A tenant is warned near the end of its budget, and stopped behind it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import BudgetSpent
from orchestrator.usage.budgets import REMEMBERED_SECONDS, Budgets, check_budgets
from orchestrator.usage.reading import UsageReader
from tasks.artifacts.memory import MemoryStore
from tasks.runs import usage_keys
from tasks.telemetry.metrics import BUDGETS
from tests.unit.orchestrator.usage.records import DAY, a_record

NOW = 100.5 * DAY  # 1970-04-11


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Office:
    """Budgets over a store, in which runs of acme end: 40 s of audio, 10 s of a card each."""

    def __init__(self, **limits: float) -> None:
        self.store, self.clock = MemoryStore(), Clock()
        settings = Settings(budgets={"acme": limits, "*": {"audio_seconds_a_day": 10.0}})
        self.budgets = Budgets(settings, UsageReader(self.store), self.clock)

    def end_run(self, job: str, ended_at: float = NOW, tenant: str = "acme") -> None:
        record = a_record(job, tenant=tenant, ended_at=ended_at)
        self.store.put(usage_keys.used(record.run), record.to_bytes())
        self.clock.now += REMEMBERED_SECONDS

    def warnings(self) -> list[str]:
        with capture_logs() as lines:
            self.budgets.check("acme", NOW)
        return [line["limit"] for line in lines if line["event"] == "budget_nearly_spent"]


def counted(limit: str, event: str) -> float:
    return float(BUDGETS.labels(limit, event)._value.get())


def test_near_the_end_it_is_warned_once_and_counted() -> None:
    office = Office(audio_seconds_a_day=100.0)
    before = counted("audio_seconds_a_day", "warned")
    office.end_run("job-1")
    assert office.warnings() == []
    office.end_run("job-2")
    assert office.warnings() == ["audio_seconds_a_day"]
    assert office.warnings() == []
    assert counted("audio_seconds_a_day", "warned") == before + 1


@pytest.mark.parametrize("limit", ["audio_seconds_a_month", "audio_seconds_a_day"])
def test_behind_it_submissions_are_refused_and_counted(limit: str) -> None:
    office, before = Office(**{limit: 80.0}), counted(limit, "refused")
    office.end_run("job-1")
    office.budgets.check("acme", NOW)
    office.end_run("job-2")
    with pytest.raises(BudgetSpent, match="has used 80 audio seconds in this"):
        office.budgets.check("acme", NOW)
    assert counted(limit, "refused") == before + 1


def test_a_day_and_a_month_begin_anew() -> None:
    office = Office(audio_seconds_a_day=30.0, audio_seconds_a_month=500.0)
    office.end_run("job-1", NOW - DAY)
    office.end_run("job-2", NOW - 20 * DAY)  # in March
    (of_day, of_month) = office.budgets.spent("acme", NOW)
    assert (of_day.used, of_month.used) == (0.0, 40.0)
    office.budgets.check("acme", NOW)
    with pytest.raises(BudgetSpent):
        office.budgets.check("acme", NOW - DAY)


def test_device_seconds_are_those_of_the_stages_of_gpu_workers() -> None:
    office = Office(device_seconds_a_month=100.0)
    office.end_run("job-1")
    (spent,) = office.budgets.spent("acme", NOW)
    assert spent.used == 10.0  # and not the 2.5 s that a core decoded


def test_a_tenant_without_its_own_budget_has_that_of_all_others() -> None:
    office = Office()
    assert office.budgets.spent("acme", NOW) == ()
    office.end_run("job-1", tenant="bolt")
    with pytest.raises(BudgetSpent):
        office.budgets.check("bolt", NOW)
    office.budgets.check("acme", NOW)


def test_sums_are_read_again_after_some_seconds() -> None:
    office = Office(audio_seconds_a_day=40.0)
    office.budgets.check("acme", NOW)
    record = a_record("job-1", ended_at=NOW)
    office.store.put(usage_keys.used(record.run), record.to_bytes())
    office.budgets.check("acme", NOW)
    office.clock.now += REMEMBERED_SECONDS
    with pytest.raises(BudgetSpent):
        office.budgets.check("acme", NOW)


@pytest.mark.parametrize("wrong", [{"hours": 1.0}, {"audio_seconds_a_day": -1.0}])
def test_a_limit_that_there_is_not_is_refused(wrong: dict[str, float]) -> None:
    check_budgets(Settings(budgets={"acme": {"audio_seconds_a_day": 0.0}}))
    with pytest.raises(InvalidOption, match="SCRIPTORIUM_BUDGETS is not valid: acme"):
        check_budgets(Settings(budgets={"acme": wrong}))
