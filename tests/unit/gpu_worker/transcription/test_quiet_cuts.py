"""Speech is cut into pieces at quiet places, without losing a sample."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gpu_worker.pcm import Span
from gpu_worker.transcription.quiet_cuts import halves, pieces

RATE = 16_000


def test_a_span_is_cut_at_the_quietest_place_of_its_middle_third() -> None:
    audio = np.full(9 * RATE, 0.5, np.float32)
    audio[RATE : 2 * RATE] = 0.0  # quiet, but in the first third
    audio[5 * RATE : int(5.2 * RATE)] = 0.1
    one, other = halves(audio, Span(0, 9 * RATE))
    assert one.end == other.start
    assert 5.0 <= one.end / RATE <= 5.2


def test_a_span_that_is_short_enough_stays_whole() -> None:
    assert pieces(np.ones(RATE, np.float32), Span(0, RATE), 1.0) == [Span(0, RATE)]


@pytest.mark.parametrize("longest", [0.3, 1.0, 5.0])
def test_pieces_follow_each_other_and_none_is_too_long(longest: float) -> None:
    audio = np.random.default_rng(3).normal(size=20 * RATE).astype(np.float32)
    found = pieces(audio, Span(RATE, 19 * RATE), longest)
    assert (found[0].start, found[-1].end) == (RATE, 19 * RATE)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(0 < one.seconds <= longest for one in found)
