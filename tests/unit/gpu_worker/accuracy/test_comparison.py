"""A variant may have a little more word errors than the reference side, and no more."""

from __future__ import annotations

import pytest

from gpu_worker.accuracy.comparison import Measurement, points_above, too_wrong
from gpu_worker.accuracy.word_error import WordError


def measured(compute_type: str, errors: int, words: int = 1000) -> Measurement:
    return Measurement("base", compute_type, WordError(words, errors), 30.0, 60.0)


def test_one_point_more_is_accepted_and_one_word_more_than_that_is_not() -> None:
    reference = measured("float32", 50)
    equal, better, at_bound, above = (
        measured(kind, errors)
        for kind, errors in (("float16", 50), ("bfloat16", 0), ("int16", 60), ("int8", 61))
    )
    assert too_wrong([reference, equal, better, at_bound, above], 1.0) == [above]
    assert too_wrong([reference, equal, better, at_bound], 0.0) == [at_bound]
    assert points_above(above, reference) == pytest.approx(1.1)
    assert points_above(better, reference) == pytest.approx(-5.0)


def test_the_first_side_is_the_reference_however_wrong_it_is() -> None:
    assert too_wrong([measured("int8", 900), measured("float32", 10)], 1.0) == []


def test_speed_is_seconds_of_computing_for_each_second_of_audio() -> None:
    assert measured("int8", 0).real_time_factor == 0.5
