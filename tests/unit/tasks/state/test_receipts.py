"""Receipts are kept by run, and read back as they were."""

from __future__ import annotations

import pytest
from redis import Redis

from tasks.runs.stages import Stage
from tasks.state.receipts import Ledger, Outcome, Receipt
from tests.inputs.examples import a_run, a_unit


def test_a_receipt_survives_its_json() -> None:
    receipt = Receipt("computed", 1.5, 30.0, "gpu0@x", 99.0, {"unit": "u"})
    assert Receipt.from_json(receipt.to_json()) == receipt


def test_its_json_says_how_fast_it_went() -> None:
    assert Receipt("computed", 1.5, 30.0).to_json()["real_time_factor"] == 0.05
    assert Receipt("cached").to_json()["real_time_factor"] is None


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [
        ("computed", True),
        ("cached", True),
        ("failed", True),
        ("canceled", False),
        ("elsewhere", False),
        ("incomplete", False),
    ],
)
def test_which_outcomes_are_final(outcome: Outcome, settled: bool) -> None:
    assert Receipt(outcome).settled is settled


def test_a_ledger_holds_the_last_receipt_of_each_unit_of_a_run(redis: Redis) -> None:
    ledger = Ledger(redis)
    ledger.record(a_unit(Stage.PREPARE), Receipt("computed"))
    ledger.record(a_unit(index=1), Receipt("failed"))
    ledger.record(a_unit(index=1), Receipt("cached"))
    ledger.record(a_unit(index=1, run=2), Receipt("failed"))
    assert ledger.read(a_run()) == {
        (Stage.PREPARE, 0): Receipt("computed"),
        (Stage.TRANSCRIBE, 1): Receipt("cached"),
    }


def test_an_unknown_run_has_no_receipts(redis: Redis) -> None:
    assert Ledger(redis).read(a_run(job="none")) == {}


def test_the_history_says_once_which_unit_settled_when(redis: Redis) -> None:
    ledger = Ledger(redis)
    for unit in (a_unit(Stage.PREPARE), a_unit(index=1), a_unit(index=0), a_unit(index=1)):
        ledger.record(unit, Receipt("computed"))
    history = ledger.history(a_run())
    assert [unit for _, unit in history] == [
        (Stage.PREPARE, 0),
        (Stage.TRANSCRIBE, 1),
        (Stage.TRANSCRIBE, 0),
    ]
    ids = [tuple(map(int, entry.split("-"))) for entry, _ in history]
    assert ids == sorted(ids) and len(set(ids)) == 3


def test_the_receipts_of_many_runs_are_read_at_once(redis: Redis) -> None:
    ledger = Ledger(redis)
    ledger.record(a_unit(Stage.PREPARE, job="b"), Receipt("cached"))
    runs = [a_run(job=job) for job in "abc"]
    assert [sorted(found) for found in ledger.read_all(runs)] == [[], [(Stage.PREPARE, 0)], []]
