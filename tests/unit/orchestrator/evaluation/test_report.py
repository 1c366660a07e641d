"""An evaluation sums what its sides made of each recording, and says which is better."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from gpu_worker.accuracy.word_error import WordError
from orchestrator.evaluation.report import Evaluation, Figure, make_evaluation
from orchestrator.evaluation.tables import drawn, measures_table, recordings_table
from orchestrator.evaluation.transcribing import HeardFile
from orchestrator.evaluation.variants import Variant, make_variants
from orchestrator.usage.prices import Prices
from tasks.usage.figures import Figures

SIDES: list[Variant] = make_variants(
    [("model=base", {"model": "base"}), ("model=tiny.en", {"model": "tiny.en"})], {}
)
WORSE = {"wer": {"value": 0.05, "low": 0.01, "high": 0.09, "units": 30, "sign": 1, "of": "x"}}
CHANCE = {"wer": {"value": 0.01, "low": -0.01, "high": 0.03, "units": 30, "sign": 0, "of": "x"}}
BETTER = {"wer": {"value": -0.1, "low": -0.2, "high": -0.02, "units": 30, "sign": -1, "of": "x"}}


def scores(errors: int, **known: Any) -> dict[str, Any]:
    missing: dict[str, Any] = {"speakers_words": None, "speakers": None, "starts": []}
    return {"words": {"words": 100, "errors": errors}} | missing | known


def heard(seconds: float) -> HeardFile:
    used = Figures(units=1, audio_seconds=10.0, device_seconds=seconds)
    return HeardFile({"duration": 10.0}, {("transcribe", "cpu"): used})


def evaluation(errors: int, *, difference: dict[str, Any] = WORSE, words: int = 1000) -> Evaluation:
    row = (Figure(WordError(words, 50)), Figure(WordError(words, errors)))
    return Evaluation(SIDES, [("talk.wav", row)], [difference])


def shown(table: Table) -> list[list[str]]:
    console = Console(file=StringIO(), width=240)
    console.print(table)
    file: Any = console.file
    return [line.split() for line in file.getvalue().splitlines()]


def test_figures_are_summed_over_recordings_and_those_that_are_not_known_left_out() -> None:
    speakers = {"scored": 8.0, "missed": 1.0, "false_alarm": 0.5, "confusion": 0.5}
    known = scores(1, speakers=speakers, speakers_words={"words": 10, "errors": 2})
    recordings = [[scores(3, starts=[0.1, -0.3]), scores(4)], [known, known]]
    found = make_evaluation(
        SIDES,
        ["a.wav", "b.wav"],
        [[heard(2.0), heard(3.0)], [heard(1.0), heard(1.0)]],
        {"recordings": recordings, "differences": [CHANCE]},
        Prices(currency="EUR", audio_hour=3.6),
    ).to_json()
    first, second = found["all"]["a"], found["all"]["b"]
    assert (first["words"], first["errors"], first["wer"]) == (200, 4, 0.02)
    assert (first["cpwer"], first["der"]) == (0.2, 0.25)
    assert (first["start_median_ms"], first["start_p95_ms"]) == (200.0, 290.0)
    assert (first["speed"], first["device_seconds"], second["speed"]) == (4.0, 5.0, 10.0)
    assert first["cost"] == pytest.approx(0.02) and found["currency"] == "EUR"
    by_name = {row["name"]: row for row in found["recordings"]}
    assert by_name["a.wav"]["a"]["der"] is None and by_name["b.wav"]["a"]["timed_words"] == 0
    assert found["sides"]["b"]["options"]["model"] == "tiny.en"


def test_the_better_side_is_named_where_the_difference_is_more_than_chance() -> None:
    assert evaluation(100, difference=WORSE).better(1, "wer") == "a"
    assert evaluation(10, difference=BETTER).better(1, "wer") == "b"
    assert evaluation(51, difference=CHANCE).better(1, "wer") is None
    assert evaluation(51, difference={}).better(1, "wer") is None
    found = evaluation(100).to_json()["differences"]["b"]["wer"]
    assert (found["points"], found["low"], found["high"], found["better"]) == (5.0, 1.0, 9.0, "a")


def test_one_point_more_is_accepted_and_one_word_more_than_that_is_not() -> None:
    assert evaluation(60).too_wrong(1.0) == [] and evaluation(61).too_wrong(1.0) == [1]
    assert evaluation(50).too_wrong(0.0) == [] and evaluation(0).too_wrong(0.0) == []
    assert evaluation(61).points_above(1) == pytest.approx(1.1)


def test_the_tables_have_a_row_for_each_recording_and_for_each_measure_that_is_known() -> None:
    rows = shown(recordings_table(evaluation(100)))
    assert rows[1] == ["talk.wav", "0.0", "1000", "5.00", "/", "10.00"]
    assert rows[2][0] == "all"
    measures = {row[0]: row for row in shown(measures_table(evaluation(100)))[1:]}
    assert measures["WER"][1:] == ["%", "5.00", "10.00", "+5.00", "+1.00", "…", "+9.00", "a"]
    assert "DER" not in measures and "cost" not in measures
    assert drawn(evaluation(100)) == ["b: its interval of WER is drawn from 30 x."]
    assert drawn(evaluation(100, difference={})) == ["b: too little text for an interval."]
