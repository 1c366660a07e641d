"""Languages by code, by name and by tag."""

from __future__ import annotations

import re

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES
from pydantic import ValidationError

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.languages import LANGUAGES, check_language, language_code
from orchestrator.api.openai.requests import audio_request
from orchestrator.jobs.requests import JobRequest
from orchestrator.triggers.contract import InvalidMessage, SubmitMessage, parse_message
from tasks.runs.submitted_options import job_options

# Those names of openai/whisper's TO_LANGUAGE_CODE that are not in its LANGUAGES.
OTHER_NAMES = {
    "burmese": "my", "valencian": "ca", "flemish": "nl", "haitian": "ht", "letzeburgesch": "lb",
    "pushto": "ps", "panjabi": "pa", "moldavian": "ro", "moldovan": "ro", "sinhalese": "si",
    "castilian": "es", "mandarin": "zh",
}  # fmt: skip


def test_the_codes_are_those_of_the_engine() -> None:
    assert LANGUAGES.keys() == set(_LANGUAGE_CODES)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("en", "en"),
        ("English", "en"),
        (" Haitian Creole ", "ht"),
        ("haitian_creole", "ht"),
        ("YUE", "yue"),
        *OTHER_NAMES.items(),
        *((name.title(), code) for name, code in OTHER_NAMES.items()),
    ],
)
def test_a_language_is_known_by_code_and_by_name(written: str, code: str) -> None:
    assert language_code(written) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("zh-CN", "zh"),
        ("pt_BR", "pt"),
        ("zh-Hans-CN", "zh"),
        ("es-419", "es"),
        ("sr-Latn", "sr"),
        ("de_DE.UTF-8@euro", "de"),
        ("haw-US", "haw"),
        ("yue-HK", "yue"),
        ("zh-yue", "yue"),
        ("zh-yue-HK", "yue"),
        ("en-x-own", "en"),
        ("nb-NO", "no"),
        ("fil-PH", "tl"),
        ("iw", "he"),
    ],
)
def test_a_tag_is_its_language(tag: str, code: str) -> None:
    assert language_code(tag) == code


@pytest.mark.parametrize("written", ["auto", "AUTO", " detect "])
def test_auto_is_a_language_to_be_detected(written: str) -> None:
    assert language_code(written) is None
    assert job_options({"language": written}).language is None


@pytest.mark.parametrize(
    ("written", "near"),
    [("Germn", "german (de)"), ("Portugese", "portuguese (pt)"), ("eng", "english (en)")],
)
def test_a_language_that_is_misspelt_is_refused_with_what_is_close(written: str, near: str) -> None:
    with pytest.raises(InvalidOption, match=f"language: {written!r} .*{re.escape(near)}"):
        job_options({"language": written})


@pytest.mark.parametrize(
    "written", ["Klingon", "xx", "tlh", "xx-US", "tlh-Latn", "", "12", "e", "EN!", "en--US", "en-"]
)
def test_what_is_no_language_is_refused_in_a_sentence_without_a_pattern(written: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        job_options({"language": written})
    told = refused.value.message
    assert f"language: {written.lower()!r} is not a language".lower() in told.lower()
    assert "pattern" not in told and "[a-z]" not in told


@pytest.mark.parametrize("written", ["Klingon", "de,Klingon", "xx", "de,xx"])
def test_of_several_languages_any_leaves_it_open_and_of_one_auto(written: str) -> None:
    with pytest.raises(InvalidOption, match=r"not valid: languages: .*, or any alone\.$"):
        job_options({"languages": written})
    one = written.removeprefix("de,")
    with pytest.raises(InvalidOption, match=r"not valid: language: .*, or auto\.$"):
        job_options({"language": one})


def test_a_code_of_a_job_that_was_accepted_before_can_be_read_but_is_refused_anew() -> None:
    assert language_code("zu") == "zu"
    with pytest.raises(InvalidOption, match="'zu' is not a language"):
        check_language("zu")
    check_language("es")
    check_language(None)


def test_every_way_to_submit_takes_the_same_languages() -> None:
    for written, code in {"Castilian": "es", "pt_BR": "pt", "auto": None}.items():
        options = {"language": written}
        form = audio_request([("model", "pico"), ("language", written)], model="pico")
        message = parse_message(SubmitMessage, (), {"source": "s3://b/k", "options": options})
        body = JobRequest.model_validate({"source": "s3://b/k", "options": options})
        assert [it.options.language for it in (form, message, body)] == [code] * 3


def test_every_way_to_submit_refuses_a_language_in_the_same_words() -> None:
    said = "'Germn' is not a language that Whisper knows; close to it: german"
    options = {"language": "Germn"}
    with pytest.raises(InvalidOption, match=said):
        audio_request([("model", "pico"), ("language", "Germn")], model="pico")
    with pytest.raises(InvalidMessage, match=said):
        parse_message(SubmitMessage, (), {"source": "s3://b/k", "options": options})
    with pytest.raises(ValidationError, match=said):
        JobRequest.model_validate({"source": "s3://b/k", "options": options})


def test_a_long_text_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is not a language") as refused:
        language_code("x" * 10_000_000)
    assert len(str(refused.value)) < 200
