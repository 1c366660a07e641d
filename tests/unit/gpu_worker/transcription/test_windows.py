"""Windows hold all speech, in order, and none is longer than the model hears."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import Word
from gpu_worker.transcription.windows import Window, pack_windows

MAX = 100


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    pieces = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 350)), max_size=20))
    found, position = [], 0
    for gap, length in pieces:
        position += gap
        found.append(Span(position, position + length))
        position += length
    return found


@given(spans())
def test_every_sample_of_speech_is_in_exactly_one_window(found: list[Span]) -> None:
    heard = [n for w in pack_windows(found, MAX) for s in w.spans for n in range(s.start, s.end)]
    assert heard == [n for span in found for n in range(span.start, span.end)]


@given(spans())
def test_no_window_is_too_long_and_none_overlap(found: list[Span]) -> None:
    position = 0
    for window in pack_windows(found, MAX):
        assert 0 < window.samples <= MAX
        for span in window.spans:
            assert span.start >= position
            position = span.end


@given(spans())
def test_neighbouring_windows_would_not_fit_into_one(found: list[Span]) -> None:
    windows = pack_windows(found, MAX)
    for first, second in pairwise(windows):
        assert first.samples + second.spans[0].samples > MAX


def test_spans_are_joined_while_they_fit() -> None:
    a, b, c = Span(0, 40), Span(60, 110), Span(150, 170)
    assert pack_windows([a, b, c], MAX) == (Window((a, b)), Window((c,)))


def test_a_window_leaves_the_silence_out_and_knows_where_each_span_begins() -> None:
    window = Window((Span(2, 5), Span(7, 9)))
    assert window.cut(np.arange(10, dtype=np.float32)).tolist() == [2, 3, 4, 7, 8]
    assert window.samples == 5
    assert window.offsets == (0, 3)


def test_a_span_that_is_too_long_is_cut_into_equal_parts() -> None:
    windows = pack_windows([Span(10, 160)], MAX)
    assert [window.spans for window in windows] == [(Span(10, 85),), (Span(85, 160),)]


def test_no_speech_makes_no_window() -> None:
    assert pack_windows([], MAX) == ()


def seconds(start: int, end: int) -> Span:
    return Span(start * SAMPLE_RATE, end * SAMPLE_RATE)


def test_a_word_that_fills_a_pause_is_clipped_to_its_speech_and_timed_in_the_chunk() -> None:
    words = [Word("hello", 0.2, 1.4, 1.0), Word("you", 1.4, 1.9, 1.0)]
    placed = Window((seconds(10, 11), seconds(13, 14))).place(words)
    assert [(word.start, word.end) for word in placed] == [(10.2, 11.0), (13.4, 13.9)]


def test_a_word_behind_all_speech_is_put_at_its_end() -> None:
    (placed,) = Window((seconds(5, 7),)).place([Word("ghost", 3.0, 4.0, 1.0)])
    assert (placed.start, placed.end) == (7.0, 7.0)
