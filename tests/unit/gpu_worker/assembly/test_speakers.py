"""Words get the speakers of turns."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.assembly.speakers import assign_speakers
from gpu_worker.transcript import Alternative, Segment, Turn, Word

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def said(*words: tuple[str, float, float], text: str | None = None) -> Segment:
    spoken = tuple(Word(word, start, end, 1.0) for word, start, end in words)
    joined = " ".join(word.word for word in spoken)
    return Segment(spoken[0].start, spoken[-1].end, joined if text is None else text, spoken)


def lines(found: tuple[Segment, ...]) -> list[tuple[str | None, str]]:
    for segment in found:
        assert all(word.speaker == segment.speaker for word in segment.words)
    return [(segment.speaker, segment.text) for segment in found]


def test_a_segment_is_cut_where_the_speaker_changes() -> None:
    talk = said(("good", 0.0, 0.4), ("morning", 0.4, 1.0), ("hello", 1.2, 1.6), ("you", 1.6, 2.0))
    found = assign_speakers([talk], [Turn(0.0, 1.1, A), Turn(1.1, 2.0, B)])
    assert lines(found) == [(A, "good morning"), (B, "hello you")]
    assert [(part.start, part.end) for part in found] == [(0.0, 1.0), (1.2, 2.0)]


def test_other_texts_of_a_segment_are_cut_where_its_speaker_changes() -> None:
    talk = said(("good", 0.0, 0.4), ("morning", 0.4, 1.0), ("hello", 1.2, 1.6), ("you", 1.6, 2.0))
    talk = replace(talk, alternatives=(Alternative("could morning hello ewe", "beam", -0.3),))
    found = assign_speakers([talk], [Turn(0.0, 1.1, A), Turn(1.1, 2.0, B)])
    assert [[other.text for other in part.alternatives] for part in found] == [
        ["could morning"],
        ["hello ewe"],
    ]


def test_a_word_on_a_boundary_goes_where_most_of_it_is() -> None:
    talk = said(("one", 0.0, 1.0), ("two", 1.0, 2.0))
    assert lines(assign_speakers([talk], [Turn(0.0, 1.4, A), Turn(1.4, 3.0, B)])) == [
        (A, "one"),
        (B, "two"),
    ]


def test_a_tie_goes_to_who_spoke_earlier() -> None:
    talk = said(
        ("one", 0.0, 0.3),
    )
    turns = [Turn(0.15, 0.3, B), Turn(0.0, 0.15, A)]
    assert lines(assign_speakers([talk], turns)) == [(A, "one")]
    assert lines(assign_speakers([talk], [Turn(0.0, 1.0, B), Turn(-1.0, 1.0, A)])) == [(A, "one")]


def test_the_parts_of_a_speakers_turns_are_added_up() -> None:
    talk = said(
        ("longest", 0.0, 1.0),
    )
    turns = [Turn(0.0, 0.3, A), Turn(0.3, 0.7, B), Turn(0.7, 1.0, A)]
    assert lines(assign_speakers([talk], turns)) == [(A, "longest")]


@pytest.mark.parametrize(
    ("start", "end", "speaker"),
    [(-2.0, -1.0, A), (1.1, 1.3, A), (1.7, 1.9, B), (1.4, 1.6, A), (9.0, 9.5, B), (1.5, 1.5, A)],
)
def test_a_word_in_no_turn_goes_to_the_nearest(start: float, end: float, speaker: str) -> None:
    turns = [Turn(0.0, 1.0, A), Turn(2.0, 3.0, B)]
    assert lines(assign_speakers([said(("hm", start, end))], turns)) == [(speaker, "hm")]


def test_a_word_without_length_belongs_to_the_turn_around_it() -> None:
    turns = [Turn(0.0, 1.0, A), Turn(1.0, 3.0, B)]
    found = assign_speakers([said(("x", 0.5, 0.5)), said(("y", 2.0, 2.0))], turns)
    assert lines(found) == [(A, "x"), (B, "y")]


def test_where_several_speak_the_exclusive_turns_decide() -> None:
    talk = said(
        ("now", 1.0, 2.0),
    )
    turns = [Turn(0.0, 3.0, A), Turn(1.0, 2.0, B)]
    assert lines(assign_speakers([talk], turns)) == [(A, "now")]
    exclusive = [Turn(0.0, 1.0, A), Turn(1.0, 2.0, B), Turn(2.0, 3.0, A)]
    assert lines(assign_speakers([talk], turns, exclusive)) == [(B, "now")]


def test_a_word_outside_the_exclusive_turns_goes_by_all_turns() -> None:
    talk = said(
        ("now", 1.0, 2.0),
    )
    assert lines(assign_speakers([talk], [Turn(1.0, 2.0, B)], [Turn(0.0, 0.9, A)])) == [(B, "now")]
    assert lines(assign_speakers([talk], [], [Turn(0.0, 0.9, A)])) == [(A, "now")]


STRAY = [Turn(0.0, 1.0, A), Turn(1.0, 1.2, B), Turn(1.2, 3.0, A)]


def test_a_stray_short_word_follows_its_neighbours() -> None:
    talk = said(("yes", 0.5, 1.0), ("I", 1.0, 1.2), ("know", 1.2, 1.6))
    assert lines(assign_speakers([talk], STRAY)) == [(A, "yes I know")]


@pytest.mark.parametrize(
    "words",
    [
        (("yes", 0.5, 0.7), ("I", 1.0, 1.2), ("know", 1.2, 1.6)),  # a pause before it
        (("yes", 0.5, 1.0), ("I", 1.0, 1.2), ("know", 1.5, 1.6)),  # a pause after it
        (("yes", 0.5, 0.9), ("I", 0.97, 1.23), ("know", 1.25, 1.6)),  # long enough
    ],
)
def test_a_word_of_its_own_makes_a_change(words: tuple[tuple[str, float, float], ...]) -> None:
    assert [speaker for speaker, _ in lines(assign_speakers([said(*words)], STRAY))] == [A, B, A]


def test_a_short_word_between_two_others_is_nobodys_stray() -> None:
    talk = said(("yes", 0.5, 1.0), ("I", 1.0, 1.2), ("know", 1.2, 1.6))
    turns = [Turn(0.0, 1.0, A), Turn(1.0, 1.2, B), Turn(1.2, 3.0, C)]
    assert len(assign_speakers([talk], turns)) == 3


def test_short_words_in_turn_do_not_all_change_places() -> None:
    words = [(f"w{n}", n / 10, (n + 1) / 10) for n in range(5)]
    turns = [Turn(n / 10, (n + 1) / 10, (A, B)[n % 2]) for n in range(5)]
    assert lines(assign_speakers([said(*words)], turns)) == [(A, "w0 w1 w2 w3 w4")]


def test_the_text_is_cut_as_it_is_written() -> None:
    talk = said(("早", 0.0, 0.5), ("你好", 1.0, 1.5), ("呀", 1.5, 2.0), text="早，你好呀！")
    turns = [Turn(0.0, 0.8, A), Turn(0.8, 2.0, B)]
    assert lines(assign_speakers([talk], turns)) == [(A, "早，"), (B, "你好呀！")]


def test_a_segment_without_words_goes_to_whoever_speaks_most_in_it() -> None:
    found = assign_speakers(
        [Segment(0.0, 3.0, "long")], [Turn(0.0, 1.0, A), Turn(1.0, 3.0, B), Turn(5.0, 9.0, A)]
    )
    assert lines(found) == [(B, "long")]


def test_without_turns_nothing_changes() -> None:
    talk = said(("one", 0.0, 1.0))
    assert assign_speakers([talk], []) == (talk,)
    assert assign_speakers([talk], [Turn(1.0, 1.0, A)]) == (talk,)
    assert assign_speakers([], [Turn(0.0, 1.0, A)]) == ()


times = st.integers(0, 400).map(lambda n: n / 20)
spans = st.tuples(times, times).map(lambda pair: (min(pair), max(pair)))
talks = st.lists(st.lists(spans, min_size=1, max_size=6), max_size=4)
turn_lists = st.lists(
    st.builds(lambda s, who: Turn(s[0], s[1], who), spans, st.sampled_from("ABC"))
)


@settings(deadline=None)
@given(talks, turn_lists, turn_lists)
def test_no_word_is_lost_changed_or_moved(
    talk: list[list[tuple[float, float]]], turns: list[Turn], exclusive: list[Turn]
) -> None:
    segments = [said(*((f"w{n}", *span) for n, span in enumerate(sorted(line)))) for line in talk]
    found = assign_speakers(segments, turns, exclusive)
    before = [(w.word, w.start, w.end) for s in segments for w in s.words]
    assert [(w.word, w.start, w.end) for s in found for w in s.words] == before
    assert " ".join(s.text for s in found) == " ".join(s.text for s in segments)
    for segment in found:
        assert len({word.speaker for word in segment.words} | {segment.speaker}) == 1


@settings(deadline=None)
@given(spans, turn_lists.filter(lambda turns: any(turn.end > turn.start for turn in turns)))
def test_a_word_belongs_to_whom_counting_over_all_turns_finds(
    span: tuple[float, float], turns: list[Turn]
) -> None:
    steps = np.arange(0, 400) / 20 + 0.025
    inside = (steps > span[0]) & (steps < span[1])
    heard = {
        who: sum(
            any(t.start < at < t.end and t.speaker == who for t in turns) for at in steps[inside]
        )
        for who in "ABC"
    }
    (found,) = assign_speakers([said(("w", *span))], turns)
    assert heard[found.speaker or ""] == max(heard.values())


@pytest.mark.slow
def test_a_day_of_words_is_done_in_seconds() -> None:
    rng = np.random.default_rng(0)
    starts = np.sort(rng.uniform(0, 36_000, 100_000)).tolist()
    words = [(f"w{n}", start, start + 0.3) for n, start in enumerate(starts)]
    segments = [said(*words[n : n + 10]) for n in range(0, len(words), 10)]
    edges = np.sort(rng.uniform(0, 36_000, 20_001)).tolist()
    turns = [Turn(a, b + 0.5, f"S{n % 12}") for n, (a, b) in enumerate(pairwise(edges))]
    turns.append(Turn(0.0, 36_000.0, "radio"))
    begin = time.process_time()
    found = assign_speakers(segments, turns)
    assert time.process_time() - begin < 10
    assert sum(len(segment.words) for segment in found) == 100_000
