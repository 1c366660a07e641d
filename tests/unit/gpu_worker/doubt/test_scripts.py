from __future__ import annotations

import pytest

from gpu_worker.doubt.scripts import foreign_share, scripts_of
from gpu_worker.transcription.languages import LANGUAGES


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hello, world"),
        ("ru", "Привет из NASA"),
        ("ja", "東京へ行きます。テスト"),
        ("sr", "Dobar dan, добар дан"),
        ("el", "Καλημέρα"),
        ("hi", "नमस्ते दुनिया"),
        ("de", "1984"),
        ("ko", "안녕하세요 세계"),
    ],
)
def test_a_language_in_its_own_scripts_has_no_foreign_letter(language: str, text: str) -> None:
    assert foreign_share(text, scripts_of(language)) == 0


@pytest.mark.parametrize(
    ("language", "text"), [("en", "Продолжение"), ("de", "ご視聴"), ("ru", "東京"), ("fr", "안녕")]
)
def test_letters_of_another_script_are_foreign(language: str, text: str) -> None:
    assert foreign_share(text, scripts_of(language)) == 1


def test_every_language_of_whisper_has_a_script() -> None:
    assert all(scripts_of(code) for code in LANGUAGES)
    assert scripts_of("ru") == {"Cyrillic"}
    assert scripts_of("sr") == {"Cyrillic", "Latin"}
