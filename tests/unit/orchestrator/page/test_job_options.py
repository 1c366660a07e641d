"""The options that the page's form sends, and at which field it shows a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpu_worker.transcription.languages import language_codes
from tasks.runs.options import JobOptions
from tests.unit.orchestrator.page.page_script import evaluate

FILE = "jobs/job_options.js"
# The form as it is when it is opened.
FORM = {
    "model": "base",
    "language": "",
    "languages": "",
    "speakers": "",
    "other_model": "",
    "task": "",
    "aligner": "",
    "chunk_seconds": "",
    "ready_by": "",
    "vocabulary": "",
    "hotwords": "",
}
HELP = "See `scriptorium transcribe --help` for the options and their values."


def options(**chosen: str) -> dict[str, Any]:
    found: dict[str, Any] = evaluate(FILE, "jobOptions(data)", {**FORM, **chosen})
    assert JobOptions.model_validate(found)
    return found


def refused(param: str | None, message: str) -> Any:
    return evaluate(FILE, "refusedField(data)", {"param": param, "message": message})


def test_a_form_that_was_not_touched_asks_for_a_model_alone() -> None:
    assert options() == {"model": "base"}
    assert options(vocabulary="", languages=" , ") == {"model": "base"}


def test_what_is_chosen_is_sent_and_numbers_are_numbers() -> None:
    chosen = {"language": "de", "task": "translate", "aligner": "none", "hotwords": " Ayşe "}
    assert options(**chosen, chunk_seconds="20", speakers="3", vocabulary="legal") == {
        "model": "base",
        **chosen,
        "hotwords": "Ayşe",
        "chunk_seconds": 20,
        "diarize": True,
        "num_speakers": 3,
        "vocabulary": "legal",
    }
    assert options(speakers="any", other_model=" tiny ") == {"model": "tiny", "diarize": True}
    assert options(speakers="channels") == {"model": "base", "channels": "split"}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("German, Spanish", ("de", "es")),
        ("de;es ,  EN,", ("de", "en", "es")),
        ("Any", ("any",)),
        ("haitian creole, pt-BR", ("ht", "pt")),
    ],
)
def test_several_languages_are_written_as_people_write_them(
    text: str, codes: tuple[str, ...]
) -> None:
    found = options(languages=text)
    assert language_codes(found["languages"]) == codes


def test_one_of_several_languages_is_the_language() -> None:
    assert JobOptions.model_validate(options(languages="German")).language == "de"


@pytest.mark.parametrize(
    ("param", "message", "field", "text"),
    [
        ("options.languages", "options.languages: 'xy' is none.", "languages", "'xy' is none."),
        (
            "options.languages",
            f"Options are not valid: languages: 'xx' is none. {HELP}",
            "languages",
            "'xx' is none.",
        ),
        ("options.num_speakers", "options.num_speakers: too many.", "speakers", "Too many."),
        ("options.known_speakers.0", "options.known_speakers.0: no.", "known_speakers", "No."),
        ("ready_by", "The time: it has passed.", "ready_by", "The time: it has passed."),
        ("options.vocabulary", "model: none has it.", "vocabulary", "Model: none has it."),
    ],
)
def test_a_refusal_is_of_the_field_that_is_its_param(
    param: str, message: str, field: str, text: str
) -> None:
    assert refused(param, message) == {"field": field, "text": text}


@pytest.mark.parametrize(
    ("param", "message"),
    [(None, "language: there is no room."), (None, ""), ("options", "options: two are one.")],
)
def test_an_error_that_names_no_field_is_of_none(param: str | None, message: str) -> None:
    assert refused(param, message) is None


@pytest.mark.parametrize("param", ["options.language", None])
def test_an_error_of_the_api_keeps_its_param(param: str | None) -> None:
    reply = json.dumps({"error": {"message": "No.", "code": "c", "param": param}})
    assert evaluate("api.js", "errorOf(422, data).param", reply) == param
