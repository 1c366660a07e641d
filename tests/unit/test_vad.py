"""Silero hears where somebody speaks, and nothing in silence."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.speech import VadOptions
from gpu_worker.vad import speech_spans
from tests.speech import recording

RATE = 16_000


@pytest.mark.parametrize("samples", [0, 159, RATE])
def test_silence_has_no_speech(samples: int) -> None:
    assert speech_spans(np.zeros(samples, np.float32), 30.0) == ()


def test_every_utterance_is_inside_the_speech_that_is_found() -> None:
    samples, said = recording(20, gap=(1.5, 2.0))
    spans = speech_spans(samples, 30.0)
    heard = np.zeros(len(samples), bool)
    for span in spans:
        heard[span.start : span.end] = True
    for utterance in said:
        inside = heard[round(utterance.start * RATE) : round(utterance.end * RATE)]
        assert inside.mean() > 0.9
    assert heard.mean() < 0.9


def test_spans_are_in_order_and_none_is_longer_than_asked() -> None:
    samples, _ = recording(20, gap=(0.05, 0.1))
    spans = speech_spans(samples, 5.0)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert max(span.end - span.start for span in spans) <= 5.0 * RATE


def test_a_threshold_that_nothing_passes_finds_nothing() -> None:
    samples, _ = recording(5)
    assert speech_spans(samples, 30.0, VadOptions(threshold=0.999999)) == ()
