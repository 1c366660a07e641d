"""What CTranslate2's `generate` returns is read as an attempt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.generate import read_attempt


@pytest.mark.parametrize("penalty", [-10.0, 0.0, 1.0])
def test_an_empty_text_has_a_log_probability_with_each_length_penalty(penalty: float) -> None:
    result = SimpleNamespace(sequences_ids=[[]], scores=[-3.0], no_speech_prob=0.5)
    tokenizer: Any = SimpleNamespace(eot=9, decode=lambda tokens: "")
    options = DecodeOptions(length_penalty=penalty)
    attempt = read_attempt(result, tokenizer, options, 0.0, room=10)
    assert (attempt.text.text, attempt.text.avg_logprob) == ("", 0.0)
