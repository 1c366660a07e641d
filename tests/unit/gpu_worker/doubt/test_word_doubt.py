from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.doubt.word_doubt import doubted, word_doubt
from gpu_worker.transcript import Word

scores = st.floats(0.0, 1.0)


@given(scores, scores)
def test_a_lower_score_is_never_less_doubtful(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < word_doubt(high) <= word_doubt(low) < 1


def test_a_word_of_half_a_chance_is_wrong_nearly_as_often() -> None:
    assert 0.4 < word_doubt(0.5) < 0.5


def test_only_a_doubtful_word_is_noted() -> None:
    assert doubted(Word("sure", 0.0, 1.0, 0.95)).doubt is None
    assert doubted(Word("unsure", 0.0, 1.0, 0.3)).doubt == 0.6
