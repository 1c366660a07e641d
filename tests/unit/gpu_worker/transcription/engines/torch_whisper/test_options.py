"""Options with an effect that the engine cannot follow are named."""

from __future__ import annotations

import pytest

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.torch_whisper.options import check_options, unknown_options


def test_greedy_decoding_and_sampling_are_followed() -> None:
    options = DecodeOptions(
        temperatures=(0.4,), best_of=3, patience=2.0, length_penalty=0.5, hotwords="Anna"
    )
    assert unknown_options(options) == ()
    check_options(options)


def test_beams_and_penalties_are_not() -> None:
    options = DecodeOptions(beam_size=5, repetition_penalty=1.1, no_repeat_ngram_size=3)
    assert unknown_options(options) == ("beam_size", "repetition_penalty", "no_repeat_ngram_size")
    with pytest.raises(InvalidOption, match="has no beam_size=5") as found:
        check_options(options)
    assert "beam_size=1" in found.value.advice
