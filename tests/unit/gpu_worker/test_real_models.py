"""The real models that tests are given are complete Whispers of the size that they should have."""

from __future__ import annotations

import pytest
from ctranslate2.models import Whisper
from tokenizers import Tokenizer

from tests.inputs.real_models import real_model


@pytest.mark.slow
@pytest.mark.parametrize(("name", "multilingual"), [("tiny.en", False), ("base", True)])
def test_a_real_model_is_a_whole_whisper(name: str, multilingual: bool) -> None:
    directory = real_model(name)
    assert directory == real_model(name)
    model = Whisper(str(directory), device="cpu", compute_type="int8")
    assert (model.is_multilingual, model.n_mels) == (multilingual, 80)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    text = " It was well-known at 12:30, wasn't it?"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text
    assert (tokenizer.token_to_id("<|de|>") is not None) or not multilingual
