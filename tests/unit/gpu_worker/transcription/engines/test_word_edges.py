"""Words start and end where the sound does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word
from gpu_worker.transcription.engines.word_edges import fit_to_sound

NOISE = np.random.default_rng(3)


def sound(seconds: float, *loud: tuple[float, float]) -> Audio:
    """Noise that is loud in these stretches and low elsewhere."""
    level = np.full(int(seconds * SAMPLE_RATE), 0.001)
    for start, end in loud:
        level[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] = 0.2
    return (level * NOISE.standard_normal(len(level))).astype(np.float32)


def times(*edges: tuple[float, float]) -> list[Word]:
    return [Word(f"w{number}", start, end, 0.9) for number, (start, end) in enumerate(edges)]


def fitted(words: list[Word], audio: Audio) -> list[tuple[float, float]]:
    return [(round(word.start, 2), round(word.end, 2)) for word in fit_to_sound(words, audio)]


def test_a_first_word_does_not_begin_with_the_window() -> None:
    audio = sound(3.0, (0.5, 2.6))
    found = fitted(times((0.0, 1.0), (1.0, 3.0)), audio)
    assert found == [pytest.approx((0.5, 1.0), abs=0.02), pytest.approx((1.0, 2.6), abs=0.02)]


def test_a_word_does_not_fill_the_pause_behind_it() -> None:
    audio = sound(3.0, (0.0, 0.8), (1.5, 3.0))
    found = fitted(times((0.0, 1.4), (1.4, 3.0)), audio)
    assert found == [pytest.approx((0.0, 0.8), abs=0.02), pytest.approx((1.5, 3.0), abs=0.02)]


def test_a_word_does_not_take_the_tail_of_the_word_before_a_pause() -> None:
    audio = sound(3.0, (0.0, 1.0), (1.4, 3.0))
    found = fitted(times((0.0, 0.9), (0.9, 3.0)), audio)
    assert found == [pytest.approx((0.0, 1.0), abs=0.02), pytest.approx((1.4, 3.0), abs=0.02)]


def test_the_closure_of_a_consonant_parts_no_word() -> None:
    audio = sound(2.0, (0.0, 0.5), (0.58, 2.0))
    assert fitted(times((0.0, 1.0), (1.0, 2.0)), audio) == [(0.0, 1.0), (1.0, 2.0)]


def test_a_word_all_in_silence_keeps_its_time() -> None:
    audio = sound(3.0, (0.0, 0.5), (2.5, 3.0))
    assert fitted(times((1.2, 1.5)), audio) == [(1.2, 1.5)]


@pytest.mark.parametrize("samples", [0, 100, SAMPLE_RATE])
def test_silence_and_next_to_nothing_change_no_time(samples: int) -> None:
    words = times((0.0, samples / SAMPLE_RATE))
    assert fit_to_sound(words, np.zeros(samples, np.float32)) == tuple(words)
    assert fit_to_sound([], np.zeros(samples, np.float32)) == ()


@given(
    st.lists(st.floats(0.02, 1.5), min_size=1, max_size=12),
    st.lists(st.tuples(st.floats(0, 6), st.floats(0.05, 1.5)), max_size=8),
)
def test_words_stay_in_order_and_inside_the_window(
    lengths: list[float], loud: list[tuple[float, float]]
) -> None:
    edges = np.cumsum([0.0, *lengths])
    audio = sound(float(edges[-1]), *((start, start + length) for start, length in loud))
    words = times(*zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    found = fit_to_sound(words, audio)
    starts = [word.start for word in found]
    assert starts == sorted(starts)
    assert [word.word for word in found] == [word.word for word in words]
    assert all(0.0 <= word.start <= word.end <= edges[-1] for word in found)
