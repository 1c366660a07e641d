"""What the page says besides the text: of warnings, and of a job that stands still."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gpu_worker
import tasks
from gpu_worker.doubt import thresholds
from gpu_worker.writing.writer import NUMBERS_IN_DIGITS, NUMBERS_IN_WORDS
from tasks.runs.stages import Stage
from tests.unit.orchestrator.page.page_script import evaluate

OTHER = "There is a note on this transcript"
MAKERS = ("TranscriptWarning", "_span_warnings")  # calls whose first argument is a warning's code


def told(*warnings: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = evaluate("labels.js", "remarks(data)", warnings)
    return found


def warning(code: str, start: float | None = None, end: float | None = None) -> dict[str, Any]:
    places = {"start": start, "end": end}
    return {"code": code, "message": f"Of {code}."} | {
        name: value for name, value in places.items() if value is not None
    }


def codes() -> Iterator[str]:
    """Every code that the workers' source writes: warnings, and those of `stages/diarize.py`."""
    for package in (gpu_worker, tasks):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    code = next(iter(node.args), None)
                    code = next((it.value for it in node.keywords if it.arg == "code"), code)
                    if name in MAKERS and isinstance(code, ast.Constant):
                        assert isinstance(code.value, str)
                        yield code.value
                if isinstance(node, ast.Dict):
                    values = dict(zip(map(_constant, node.keys), node.values, strict=True))
                    if values.keys() == {"code", "message"} and _constant(values["code"]):
                        yield str(_constant(values["code"]))


def _constant(node: ast.AST | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def test_every_warning_that_workers_write_has_a_sentence_for_readers() -> None:
    found = sorted({*codes(), NUMBERS_IN_WORDS, NUMBERS_IN_DIGITS})
    assert {"missing_span", "decode_errors", "known_speaker_unusable"} <= set(found)
    texts = evaluate(
        "labels.js", "data.map((it) => remarks([it])[0].text)", list(map(warning, found))
    )
    assert [code for code, text in zip(found, texts, strict=True) if text == OTHER] == []
    assert not [text for text in texts if any(code in text for code in found)]


def test_ten_warnings_of_one_kind_are_one_remark() -> None:
    several = told(
        *(warning("words_not_aligned") for _ in range(9)),
        warning("speakers_missing"),
        warning("words_not_aligned"),
    )
    assert [remark["text"] for remark in several] == [
        "Word times are approximate",
        "Speakers are not told apart",
    ]
    assert not any(remark["lost"] or remark["places"] for remark in several)


@pytest.mark.parametrize("code", ["from_next_year", "constructor", "__proto__", ""])
def test_warnings_that_the_page_does_not_know_are_one_remark_too(code: str) -> None:
    assert [remark["text"] for remark in told(warning(code), warning("another"))] == [OTHER]


def test_what_is_missing_from_the_text_is_told_with_its_places_in_order() -> None:
    (missing,) = told(
        warning("missing_span", 1050.0, 1081.2),
        warning("missing_span", 5.0, 9.0),
        warning("missing_span", 750.0, 1050.0),
        warning("missing_span", 760.0, 800.0),
    )
    assert missing["lost"] and missing["more"] == 0
    assert missing["places"] == [{"start": 5.0, "end": 9.0}, {"start": 750.0, "end": 1081.2}]


def test_a_file_that_was_cut_off_is_missing_from_there_on() -> None:
    (cut,) = told(warning("truncated_audio", 61.5))
    assert cut["lost"] and cut["places"] == [{"start": 61.5, "end": None}]


def test_of_many_places_the_first_are_told_and_the_rest_are_counted() -> None:
    (many,) = told(*(warning("speech_without_words", at, at + 1.0) for at in range(0, 100, 10)))
    assert (len(many["places"]), many["more"]) == (6, 4)


def test_a_job_that_stands_still_is_spoken_of_after_ten_seconds() -> None:
    stages = [stage.value for stage in Stage if stage is not Stage.FAN_OUT]  # no job is said to be
    spoken = evaluate(
        "labels.js",
        "data.map((stage) => [9, 10, 59, 60, 150].map((it) => standstill({ stage }, it)))",
        stages,
    )
    for stage, (at_first, *texts) in zip(stages, spoken, strict=True):
        assert at_first == ""
        lengths = ("10 seconds", "50 seconds", "1 minute", "2 minutes")
        for text, length in zip(texts, lengths, strict=True):
            assert text.startswith(f"No progress for {length}") and "undefined" not in text
        assert ": " in texts[0] or stage == "assemble"


def test_a_job_that_no_worker_has_taken_is_said_to_wait_for_a_worker() -> None:
    job = {"status": "queued", "stage": "prepare"}
    assert "workers are busy" in evaluate("labels.js", "standstill(data, 12)", job)


NOW = 1_764_000_000.0


@pytest.mark.parametrize(
    ("left", "status", "eta", "end"),
    [
        (3 * 3600, "processing", 3600.0, ", 2 h early expected"),
        (1800, "processing", 3600.0, ", 30 min late expected"),
        (1800, "queued", None, ""),
        (-7200, "queued", None, ", 2 h late"),
        (10 * 86400, "processing", 3600.0, ", 10 days early expected"),
        (-7200, "completed", None, ""),
    ],
)
def test_a_job_is_said_to_be_early_or_late(
    left: float, status: str, eta: float | None, end: str
) -> None:
    job = {"ready_by": NOW + left, "status": status, "eta_seconds": eta}
    told = str(evaluate("labels.js", f"readyBy(data, {NOW})", job))
    assert re.fullmatch(r"ready by (\d+ [A-Z][a-z]{2,3} )?\d\d:\d\d" + end, told), told


def test_a_job_without_a_time_says_nothing_of_it() -> None:
    assert evaluate("labels.js", "readyBy(data)", {"ready_by": None, "status": "queued"}) == ""


def test_every_flag_has_a_reason_for_readers() -> None:
    codes = {
        value
        for name, value in vars(thresholds).items()
        if name.isupper() and isinstance(value, str)
    }
    assert len(codes) > 10
    told = {code: evaluate("labels.js", "reasons(data)", [code]) for code in sorted(codes)}
    assert "It may be wrong." not in told.values()
    assert len(set(told.values())) == len(codes)


def test_several_reasons_are_told_and_an_unknown_one_by_its_own_message() -> None:
    flags = [{"code": "of_a_later_release", "doubt": 0.5, "message": "It sounds odd."}]
    codes = ["too_fast", "of_a_later_release", "too_fast"]
    text = evaluate(
        "labels.js", "reasons(data.codes, data.flags)", {"codes": codes, "flags": flags}
    )
    assert text == "It is faster than people talk. It sounds odd."
    assert evaluate("labels.js", "reasons(data)", ["unknown"]) == "It may be wrong."
    assert evaluate("labels.js", "reasons(data)", []) == "There is no doubt about this line."


@pytest.mark.parametrize(
    ("language", "task", "text"),
    [
        ("de", "transcribe", "German"),
        ("de", "translate", "German, in English"),
        ("en", "translate", "English"),
        (None, "translate", ""),
    ],
)
def test_a_translation_is_said_to_be_english_besides_what_is_spoken(
    language: str | None, task: str, text: str
) -> None:
    job = {"language": language, "task": task}
    assert evaluate("labels.js", "spokenIn(data)", job) == text
