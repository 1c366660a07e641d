"""Languages by code and by name."""

from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from gpu_worker.languages import LANGUAGES, language_code


def test_the_codes_are_those_of_the_engine() -> None:
    assert LANGUAGES.keys() == set(_LANGUAGE_CODES)


@pytest.mark.parametrize(
    ("written", "code"),
    [("en", "en"), ("English", "en"), (" Haitian Creole ", "ht"), ("YUE", "yue"), ("x", "x")],
)
def test_a_language_is_known_by_code_and_by_name(written: str, code: str) -> None:
    assert language_code(written) == code
