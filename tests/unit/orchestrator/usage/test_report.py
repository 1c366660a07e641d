"""Rows by day, tenant and stage: each figure is in one row, and the total has them all."""

from __future__ import annotations

import csv
import io

import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.usage.accounts import Accounts, add_record
from orchestrator.usage.prices import Prices
from orchestrator.usage.report import Dimension, Report, dimension, make_report, period
from orchestrator.usage.table import report_csv, report_json
from tests.unit.orchestrator.usage.records import DAY, a_record

DAYS = ("1970-04-01", "1970-04-30")
PRICES = Prices(currency="EUR", audio_hour=90.0, device_hour={"NVIDIA H200": 360.0})


def report(*by: Dimension, prices: Prices | None = None) -> Report:
    accounts: Accounts = {}
    for record in (
        a_record(), a_record("job-2"), a_record(tenant="bolt"), a_record("3", ended_at=101 * DAY)
    ):  # fmt: skip
        add_record(accounts, record)
    return make_report(accounts, DAYS, by, prices)


def test_by_day_audio_is_counted_once_and_cards_apart() -> None:
    found = report(prices=PRICES)
    first, second = found.rows
    assert (first.keys, first.runs, second.keys, second.runs) == (
        {"day": "1970-04-11"}, 3, {"day": "1970-04-12"}, 1,
    )  # fmt: skip
    assert second.figures.audio_seconds == 40.0 and second.figures.cached_audio_seconds == 20.0
    assert second.device_seconds == {"NVIDIA H200": 10.0, "cpu": 2.5}
    assert (second.figures.units, second.figures.cached, second.figures.retries) == (5, 2, 1)
    assert second.cost == 2.0 and found.total.cost == 8.0


def test_by_tenant_and_stage_each_row_has_its_own_audio_and_no_number_of_runs() -> None:
    found = report(Dimension.TENANT, Dimension.STAGE, prices=PRICES)
    rows = {tuple(row.keys.values()): row for row in found.rows}
    assert list(rows) == [
        ("acme", "prepare"), ("acme", "transcribe"), ("bolt", "prepare"), ("bolt", "transcribe"),
    ]  # fmt: skip
    prepared, heard = rows["acme", "prepare"], rows["bolt", "transcribe"]
    assert prepared.figures.audio_seconds == 180.0 and prepared.cost == 0.0
    assert heard.figures.audio_seconds == 40.0 and heard.device_seconds == {"NVIDIA H200": 10.0}
    assert heard.runs is None and found.total.runs == 4


@pytest.mark.parametrize("by", [(), *((it,) for it in Dimension), tuple(Dimension)])
def test_the_rows_add_up_to_the_total(by: tuple[Dimension, ...]) -> None:
    found = report(*by, prices=PRICES)
    for name in ("units", "cached", "retries", "stored_bytes", "device_seconds", "joules"):
        whole = sum(getattr(row.figures, name) or 0 for row in found.rows)
        assert whole == getattr(found.total.figures, name)
    assert sum(row.cost or 0 for row in found.rows) == found.total.cost


def test_json_has_every_figure_and_a_cost_only_with_prices() -> None:
    data = report_json(report(Dimension.TENANT))
    assert (data["from"], data["to"], data["by"], data["currency"]) == (*DAYS, ["tenant"], None)
    assert data["data"][1] == {
        "tenant": "bolt", "runs": 1, "audio_seconds": 40.0, "cached_audio_seconds": 20.0,
        "units": 5, "cached": 2, "retries": 1, "stored_bytes": 1_000_500,
        "device_seconds": {"NVIDIA H200": 10.0, "cpu": 2.5}, "joules": 3000.0,
    }  # fmt: skip
    assert report_json(report(prices=PRICES))["data"][1]["cost"] == 2.0


def test_csv_has_a_column_for_each_card_of_any_row() -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(report(Dimension.STAGE, prices=PRICES)))))
    assert [row["stage"] for row in rows] == ["prepare", "transcribe"]
    assert rows[0]["device_seconds NVIDIA H200"] == "0.0" and rows[0]["joules"] == ""
    assert rows[1]["device_seconds NVIDIA H200"] == "40.0" and rows[1]["cost"] == "8.0"


def test_csv_of_no_rows_is_a_line_of_names_and_no_text_is_a_formula() -> None:
    empty = make_report({}, DAYS, (), None)
    assert report_csv(empty).splitlines()[0].startswith("runs,audio_seconds,")
    accounts: Accounts = {}
    add_record(accounts, a_record(tenant="=cmd"))
    assert "'=cmd" in report_csv(make_report(accounts, DAYS, (Dimension.TENANT,), None))


def test_the_period_is_this_month_until_today_if_none_is_given() -> None:
    assert period(None, None, 101.5 * DAY) == ("1970-04-01", "1970-04-12")
    assert period(None, "1970-02-07", 101.5 * DAY) == ("1970-02-01", "1970-02-07")
    assert period("1970-01-05", None, 101.5 * DAY) == ("1970-01-05", "1970-04-12")


@pytest.mark.parametrize(
    ("first", "last"),
    [("1970-04-12", "1970-04-11"), ("yesterday", None), (None, "19700411"), ("2026-02-30", None)],
)
def test_a_period_that_is_none_is_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(InvalidOption):
        period(first, last, 101.5 * DAY)


def test_by_label_jobs_without_it_are_a_row_and_all_rows_are_the_total() -> None:
    accounts: Accounts = {}
    for number, labels in enumerate(
        [(), (("team", "red"),), (("team", "red"), ("x", "1")), (("x", "1"),)]
    ):
        add_record(accounts, a_record(f"{number}", labels=labels))
    found = make_report(accounts, DAYS, ["label:team", Dimension.TENANT], PRICES)
    assert [(*row.keys.values(), row.runs) for row in found.rows] == [
        ("", "acme", 2), ("red", "acme", 2),
    ]  # fmt: skip
    assert sum(row.figures.audio_seconds for row in found.rows) == found.total.figures.audio_seconds
    assert report_csv(found).startswith("label:team,tenant,runs,")
    staged = make_report(accounts, DAYS, ["label:x", Dimension.STAGE], None)
    assert {row.keys["label:x"] for row in staged.rows} == {"", "1"}


@pytest.mark.parametrize("name", ["hour", "label:", "label", "label:a b", "label:-", "DAY"])
def test_rows_are_by_nothing_else(name: str) -> None:
    with pytest.raises(InvalidOption):
        dimension(name)
