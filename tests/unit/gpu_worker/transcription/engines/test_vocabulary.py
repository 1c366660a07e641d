"""The languages of a model, and the tokenizer for a job's options."""

from __future__ import annotations

import pytest
import tokenizers

from gpu_worker.builtin import PICO
from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.vocabulary import Vocabulary


def vocabulary(*, is_multilingual: bool = True) -> Vocabulary:
    tokens = tokenizers.Tokenizer.from_file(str(PICO / "tokenizer.json"))
    return Vocabulary("pico.en", tokens, 2161, is_multilingual)


def test_languages_are_those_that_have_a_token() -> None:
    assert vocabulary().languages == {"en", "es"}
    assert vocabulary().language_token("en") != vocabulary().language_token("es")
    assert vocabulary().language_token("de") is None


def test_a_tokenizer_begins_texts_with_language_and_task() -> None:
    tokenizer = vocabulary().tokenizer(DecodeOptions(language="es", task="translate"))
    assert tokenizer.sot_sequence == [
        tokenizer.sot, vocabulary().language_token("es"), tokenizer.translate,
    ]  # fmt: skip
    assert vocabulary().tokenizer(DecodeOptions()).language_code == "en"


def test_a_model_of_english_alone_has_neither() -> None:
    english = vocabulary(is_multilingual=False)
    tokenizer = english.tokenizer(DecodeOptions())
    assert tokenizer.sot_sequence == [tokenizer.sot]
    with pytest.raises(InvalidOption, match="knows English only"):
        english.tokenizer(DecodeOptions(language="es"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DecodeOptions(language="de"), "has no language 'de', only en, es"),
        (DecodeOptions(suppress_tokens=(2161,)), "tokens are 0 to 2160"),
    ],
)
def test_what_a_model_does_not_have_is_refused(options: DecodeOptions, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        vocabulary().tokenizer(options)
