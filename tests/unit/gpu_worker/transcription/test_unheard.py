"""Time without words inside a window is found behind, before and inside words."""

from __future__ import annotations

from gpu_worker.transcript import Word
from gpu_worker.transcription.unheard import Gap, find_gaps, longest_seconds


def words(*times: tuple[float, float]) -> list[Word]:
    return [Word("word", start, end, 0.9) for start, end in times]


LONGEST = longest_seconds("word")


def test_a_window_full_of_words_has_no_gap() -> None:
    assert find_gaps(words((0.0, 0.8), (0.8, 1.6), (1.6, 2.9)), 3.0) == []


def test_the_time_behind_the_last_word_is_a_gap() -> None:
    assert find_gaps(words((0.0, 1.0)), 9.0) == [Gap(1.0, 9.0, 1)]


def test_a_last_word_that_never_ends_hides_a_gap() -> None:
    assert find_gaps(words((0.0, 1.0), (1.0, 9.0)), 9.0) == [Gap(1.0 + LONGEST, 9.0, 2)]


def test_a_word_in_the_middle_that_is_too_long_hides_a_gap() -> None:
    found = find_gaps(words((0.0, 1.0), (1.0, 8.0), (8.0, 9.0)), 9.0)
    assert found == [Gap(1.0 + LONGEST, 8.0, 2)]


def test_a_first_word_that_is_too_long_is_said_at_its_end() -> None:
    assert find_gaps(words((0.0, 8.0), (8.0, 9.0)), 9.0) == [Gap(0.0, 8.0 - LONGEST, 0)]


def test_a_long_number_takes_its_time() -> None:
    assert longest_seconds("1,234,567") > 4.0 > longest_seconds("a-hundred")


def test_a_window_without_words_is_one_gap() -> None:
    assert find_gaps([], 5.0) == [Gap(0.0, 5.0, 0)]
