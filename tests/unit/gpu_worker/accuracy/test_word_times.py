"""Word times against a reference, on cases counted by hand."""

from __future__ import annotations

import pytest

from gpu_worker.accuracy.word_times import spread, time_errors
from gpu_worker.transcript import Word

pytestmark = pytest.mark.slow  # it imports transformers


def said(*words: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(text, start, end, 1.0) for text, start, end in words)


def test_words_are_compared_by_the_times_that_both_sides_know() -> None:
    true = said(
        ("mister", 0.1, 0.4), ("smith", 0.4, 0.9), ("ill", 1.0, 1.2), ("disposed", 1.2, 2.0)
    )
    heard = said(("Mr.", 0.15, 0.4), ("Smith", 0.4, 0.8), ("ill-disposed,", 1.1, 2.05))
    found = time_errors(true, heard, "en")
    assert found.words == 4
    assert found.starts == pytest.approx((0.05, 0.0, 0.1))
    assert found.ends == pytest.approx((0.0, -0.1, 0.05))


def test_words_that_one_side_lacks_are_not_compared() -> None:
    true = said(("from", 0.0, 0.2), ("fairest", 0.2, 0.8), ("creatures", 0.8, 1.4))
    heard = said(("from", 0.0, 0.2), ("furious", 0.2, 0.8), ("creatures", 0.9, 1.4))
    found = time_errors(true, heard, "en")
    assert found.starts == pytest.approx((0.0, 0.1))


def test_a_spread_is_of_sizes_and_keeps_the_sign_apart() -> None:
    found = spread([-0.1, -0.1, -0.1, 0.3])
    assert (found.signed_median, found.median) == pytest.approx((-0.1, 0.1))
    assert found.p95 == pytest.approx(0.27)
