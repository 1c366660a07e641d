"""Which windows are not believed: openai/whisper's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import (
    best_attempt,
    compression_ratio,
    is_silence,
    needs_fallback,
)

OPTIONS = DecodeOptions()
GOOD = WindowText("good", (), -0.3, 0.1, 1.2, 0.0)
UNSURE = replace(GOOD, avg_logprob=-1.5)
REPEATING = replace(GOOD, compression_ratio=3.0)
SILENT = replace(UNSURE, no_speech_prob=0.9)
EDGE = replace(GOOD, avg_logprob=-1.0, compression_ratio=2.4)


@pytest.mark.parametrize(
    ("result", "again"),
    [(GOOD, False), (EDGE, False), (UNSURE, True), (REPEATING, True), (SILENT, False)],
)
def test_a_window_is_decoded_again_when_it_is_not_believed(result: WindowText, again: bool) -> None:
    assert needs_fallback(result, OPTIONS) is again


def test_silence_needs_both_doubts() -> None:
    assert is_silence(SILENT, OPTIONS)
    assert not is_silence(UNSURE, OPTIONS)
    assert not is_silence(replace(GOOD, no_speech_prob=0.9), OPTIONS)


def test_without_a_log_probability_threshold_the_doubt_alone_is_silence() -> None:
    options = replace(OPTIONS, logprob_threshold=None)
    assert is_silence(SILENT, options)
    assert is_silence(replace(GOOD, no_speech_prob=0.9), options)
    assert not is_silence(UNSURE, options)


def test_without_a_no_speech_threshold_nothing_is_silence() -> None:
    options = replace(OPTIONS, no_speech_threshold=None)
    assert not is_silence(SILENT, options)
    assert needs_fallback(SILENT, options)


def test_a_log_probability_at_its_threshold_does_not_outweigh_the_doubt() -> None:
    edge = replace(EDGE, no_speech_prob=0.9)
    assert is_silence(edge, OPTIONS)
    assert not is_silence(replace(edge, avg_logprob=-0.99), OPTIONS)
    assert not is_silence(replace(edge, no_speech_prob=0.6), OPTIONS)


def test_silence_that_repeats_itself_is_not_decoded_again() -> None:
    repeating = replace(SILENT, compression_ratio=3.0)
    assert not needs_fallback(repeating, OPTIONS)
    assert needs_fallback(repeating, replace(OPTIONS, logprob_threshold=None))


def test_a_threshold_of_none_is_never_passed() -> None:
    assert not needs_fallback(UNSURE, replace(OPTIONS, logprob_threshold=None))
    assert not needs_fallback(REPEATING, replace(OPTIONS, compression_ratio_threshold=None))


def test_the_last_attempt_is_taken_when_it_is_believed() -> None:
    assert best_attempt([UNSURE, GOOD], OPTIONS) is GOOD


def test_of_attempts_not_believed_the_likeliest_that_does_not_repeat_is_taken() -> None:
    worse = replace(UNSURE, avg_logprob=-2.0)
    assert best_attempt([REPEATING, UNSURE, worse], OPTIONS) is UNSURE


def test_if_all_repeat_the_likeliest_is_taken() -> None:
    worse = replace(REPEATING, avg_logprob=-0.9)
    assert best_attempt([REPEATING, worse], OPTIONS) is REPEATING


def test_text_that_repeats_itself_compresses_well() -> None:
    assert compression_ratio("so so so " * 50) > 2.4
    assert compression_ratio("Nine brown foxes jump over it.") < 1.5
    assert compression_ratio("") == 0.0
