"""The measures of diarization, on cases counted by hand."""

from __future__ import annotations

import math

import pytest

from gpu_worker.accuracy.speaker_scores import (
    DiarizationError,
    cp_word_error,
    diarization_error,
)
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.transcript import Turn

pytestmark = pytest.mark.slow  # it imports pyannote

TEN_EACH = [Turn(0.0, 10.0, "anna"), Turn(10.0, 20.0, "peter")]


def test_the_same_spans_under_other_names_are_no_error() -> None:
    heard = [Turn(0.0, 10.0, "B"), Turn(10.0, 20.0, "A")]
    found = diarization_error(TEN_EACH, heard, 20.0, collar=0.0)
    assert found == DiarizationError(scored=20.0, missed=0.0, false_alarm=0.0, confusion=0.0)
    assert found.rate == 0.0


def test_confusion_false_alarm_and_missed_speech_are_told_apart() -> None:
    # 8..10 s has the wrong name, 20..21 s is silence, and peter's last 3 s are not heard.
    heard = [Turn(0.0, 8.0, "A"), Turn(8.0, 17.0, "B"), Turn(20.0, 21.0, "B")]
    found = diarization_error(TEN_EACH, heard, 25.0, collar=0.0)
    assert found.scored == pytest.approx(20.0)
    assert found.confusion == pytest.approx(2.0)
    assert found.false_alarm == pytest.approx(1.0)
    assert found.missed == pytest.approx(3.0)
    assert found.rate == pytest.approx(6.0 / 20.0)


def test_half_of_the_collar_is_left_out_on_each_side_of_a_boundary() -> None:
    heard = [Turn(0.0, 10.1, "A"), Turn(10.1, 20.0, "B")]
    found = diarization_error(TEN_EACH, heard, 20.0)
    # 0.125 s at 0 and at 20, and 0.125 s before and after 10.
    assert found.scored == pytest.approx(19.5)
    assert found.confusion == pytest.approx(0.0)
    late = [Turn(0.0, 10.225, "A"), Turn(10.225, 20.0, "B")]
    assert diarization_error(TEN_EACH, late, 20.0).confusion == pytest.approx(0.1)


def test_two_at_once_count_twice() -> None:
    both = [Turn(0.0, 10.0, "anna"), Turn(5.0, 10.0, "peter")]
    found = diarization_error(both, [Turn(0.0, 10.0, "A")], 10.0, collar=0.0)
    assert (found.scored, found.missed) == pytest.approx((15.0, 5.0))


def test_one_name_for_two_speakers_confuses_the_shorter_one() -> None:
    three = [Turn(0.0, 6.0, "anna"), Turn(6.0, 10.0, "peter")]
    found = diarization_error(three, [Turn(0.0, 10.0, "A")], 10.0, collar=0.0)
    assert found.confusion == pytest.approx(4.0)


def test_nothing_heard_is_all_missed() -> None:
    found = diarization_error(TEN_EACH, [], 20.0, collar=0.0)
    assert (found.rate, found.missed) == (1.0, 20.0)


def test_speech_heard_in_silence_is_a_false_alarm_without_a_rate() -> None:
    found = diarization_error([], [Turn(1.0, 3.0, "A"), Turn(4.0, 4.0, "A")], 5.0)
    assert found.false_alarm == pytest.approx(2.0)
    assert math.isnan(found.rate)


def test_errors_of_two_files_add_up() -> None:
    one = DiarizationError(10.0, 1.0, 2.0, 3.0)
    assert one + one == DiarizationError(20.0, 2.0, 4.0, 6.0)


def test_names_do_not_matter_to_cpwer() -> None:
    said = {"anna": "good morning peter", "peter": "hello anna"}
    heard = {"B": "good morning peter", "A": "hello anna"}
    assert cp_word_error(said, heard) == WordError(words=5, errors=0)


def test_a_word_given_to_another_speaker_counts_twice() -> None:
    # Deleted from one speaker's text and inserted into the other's.
    said = {"anna": "good morning peter", "peter": "hello anna"}
    heard = {"A": "good morning", "B": "peter hello anna"}
    found = cp_word_error(said, heard)
    assert found == WordError(words=5, errors=2)
    assert found.rate == pytest.approx(0.4)


def test_the_best_match_is_of_all_names_together() -> None:
    # The greedy choice, A for anna (1 error), leaves peter with 4; the other way costs 2 + 1.
    said = {"anna": "a b c d", "peter": "a b c e"}
    heard = {"A": "a b c", "B": "a b x d"}
    assert cp_word_error(said, heard) == WordError(words=8, errors=2)


def test_two_speakers_merged_into_one_are_insertions_and_deletions() -> None:
    said = {"anna": "one two three", "peter": "four five"}
    # anna's 3 words match, 2 are too many, and peter's 2 are missing.
    assert cp_word_error(said, {"A": "one two three four five"}) == WordError(5, 4)


def test_a_speaker_too_many_is_all_insertions() -> None:
    heard = {"A": "one", "B": "two three", "C": "four"}
    assert cp_word_error({"anna": "two three"}, heard) == WordError(2, 2)


@pytest.mark.parametrize("heard", [{}, {"A": "", "B": "  "}])
def test_no_words_heard_are_all_deletions(heard: dict[str, str]) -> None:
    assert cp_word_error({"anna": "one two", "peter": ""}, heard) == WordError(2, 2)


def test_nothing_said_has_no_rate() -> None:
    assert cp_word_error({}, {}) == WordError(0, 0)
    assert math.isnan(cp_word_error({}, {"A": "one"}).rate)
