"""The report of shadows: the worst recording first, those above the bound flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from orchestrator.evaluation.shadows import Pair, Shadows, Side, shadow_report
from orchestrator.usage.prices import Prices
from tasks.usage.figures import Figures
from tests.inputs.examples import a_run


def side(seconds: float, model: str = "pico") -> Side:
    used = Figures(units=1, audio_seconds=10.0, device_seconds=seconds)
    return Side(model, {"duration": 10.0, "language": None}, {("transcribe", "cpu"): used})


def pair(job: str) -> Pair:
    return Pair(a_run(job=job), f"{job}.wav", side(2.0), side(1.0, "fake"))


def counted(*errors: int) -> Any:
    def compare(pairs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        assert [it["language"] for it in pairs] == ["en"] * len(pairs)
        return [{"words": 10, "errors": count, "spans": []} for count in errors]

    return compare


def test_recordings_are_sorted_flagged_and_summed() -> None:
    found = Shadows([pair("a"), pair("b"), pair("c")], 4, 3, 2, 1)
    prices = Prices(currency="EUR", device_hour={"cpu": 3600.0})
    report = shadow_report(found, 20.0, prices, counted(1, 9, 2))
    assert [row["job"] for row in report["jobs"]] == ["b", "c", "a"]
    assert [row["flagged"] for row in report["jobs"]] == [True, False, False]
    assert (report["done"], report["flagged"], report["waiting"]) == (3, 1, 4)
    assert (report["going_on"], report["ended_badly"], report["not_compared"]) == (3, 2, 1)
    total = report["all"]
    assert (total["words"], total["errors"], total["disagreement"]) == (30, 12, 40.0)
    assert total["production"]["speed"] == 5.0 and total["shadow_side"]["speed"] == 10.0
    assert total["production"]["cost"] == 6.0 and total["shadow_side"]["models"] == ["fake"]


def test_a_report_without_shadows_has_no_figures() -> None:
    report = shadow_report(Shadows([], 0, 0, 0, 0), 20.0, None, counted())
    assert report["jobs"] == [] and report["all"]["disagreement"] is None


def test_text_where_production_has_none_is_a_whole_disagreement() -> None:
    def compare(pairs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [{"words": 0, "errors": count, "spans": []} for count in (0, 3)]

    found = shadow_report(Shadows([pair("a"), pair("b")], 0, 0, 0, 0), 20.0, None, compare)
    assert [(row["job"], row["disagreement"]) for row in found["jobs"]] == [
        ("b", 100.0),
        ("a", 0.0),
    ]


@pytest.mark.parametrize(
    ("task", "spoken", "written"),
    [("translate", "de", "en"), ("transcribe", "de", "de"), ("translate", None, "en")],
)
def test_a_translation_is_compared_as_the_english_text_that_it_is(
    task: str, spoken: str | None, written: str
) -> None:
    assert Side("base", {"duration": 1.0, "language": spoken}, {}, task).language == written
