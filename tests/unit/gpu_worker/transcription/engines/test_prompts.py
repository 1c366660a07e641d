"""Hot words and initial prompt share one budget, and what has no room is told of."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from faster_whisper.tokenizer import Tokenizer
from tokenizers import Tokenizer as Vocabulary

from gpu_worker.builtin import PICO
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.prompts import PROMPT_TOKENS, build_prompt


@cache
def tokenizer() -> Tokenizer:
    vocabulary = Vocabulary.from_file(str(PICO / "tokenizer.json"))
    return Tokenizer(vocabulary, True, task="transcribe", language="en")


def said(**texts: Any) -> tuple[str, bool]:
    """What the model is told before the start of the transcript, and whether some was left out."""
    prompt = build_prompt(tokenizer(), DecodeOptions(language="en", **texts))
    start = prompt.tokens.index(tokenizer().sot)
    assert prompt.tokens[start:] == (*tokenizer().sot_sequence, tokenizer().no_timestamps)
    assert start <= PROMPT_TOKENS + 1
    return tokenizer().decode(list(prompt.tokens[1:start])).strip(), prompt.is_cut


def test_without_either_there_is_no_previous_text() -> None:
    assert said() == ("", False)
    assert said(hotwords="  ", initial_prompt="") == ("", False)


def test_hot_words_come_first() -> None:
    assert said(hotwords="anna", initial_prompt="good morning") == ("anna good morning", False)


def test_a_long_prompt_keeps_its_end() -> None:
    text, is_cut = said(initial_prompt="good " * 300 + "morning")
    assert is_cut and text.endswith("good morning")
    assert text.count("good") < 300


def test_long_hot_words_keep_their_beginning_and_leave_no_room_for_a_prompt() -> None:
    text, is_cut = said(hotwords="anna " + "peter " * 300, initial_prompt="good morning")
    assert is_cut and text.startswith("anna peter")
    assert "morning" not in text


@pytest.mark.parametrize("hot", ["", "anna"])
def test_a_prompt_that_just_fits_is_not_cut(hot: str) -> None:
    used = len(tokenizer().encode(f" {hot}")) if hot else 0
    each = len(tokenizer().encode(" good good")) - len(tokenizer().encode(" good"))
    fitting = " ".join(["good"] * ((PROMPT_TOKENS - used) // each))
    assert said(hotwords=hot, initial_prompt=fitting) == (f"{hot} {fitting}".strip(), False)
