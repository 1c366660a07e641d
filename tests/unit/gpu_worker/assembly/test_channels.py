"""Echoes are written once, everything else stays, and each channel is a speaker."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from gpu_worker.assembly import channels as module
from gpu_worker.assembly.channels import (
    ECHO_DB,
    ECHO_SECONDS,
    LONE_ECHO_DB,
    Conversation,
    channel_speaker,
    join_channels,
)
from gpu_worker.audio.levels import FRAME_SAMPLES
from gpu_worker.heard import HeardWindow
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import Alternative, Segment, Turn, Word

LOUD, ECHO = -20, -32


def words(text: str, start: float, *, step: float = 0.4, length: float = 0.3) -> list[Word]:
    return [
        Word(word, round(start + index * step, 3), round(start + index * step + length, 3), 0.9)
        for index, word in enumerate(text.split())
    ]


def said(text: str, start: float, level: int = LOUD) -> HeardWindow:
    """One line at one level; a word every 0.4 s."""
    return window([words(text, start)], level)


def window(lines: Sequence[Sequence[Word]], level: int) -> HeardWindow:
    segments = tuple(
        Segment(line[0].start, line[-1].end, " ".join(w.word for w in line), tuple(line))
        for line in lines
    )
    return heard(segments, level)


def heard(segments: Sequence[Segment], level: int) -> HeardWindow:
    first = round((segments[0].start - 0.1) * SAMPLE_RATE)
    last = round((segments[-1].end + 0.1) * SAMPLE_RATE)
    frames = -(-(last - first) // FRAME_SAMPLES)
    return HeardWindow((Span(first, last),), tuple(segments), ((level,) * frames,))


def join(*channels: Sequence[HeardWindow]) -> Conversation:
    return join_channels(dict(enumerate(channels)))


def lines(conversation: Conversation) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for segment in conversation.segments]


def test_channels_take_turns_in_the_order_of_time() -> None:
    left = [said("hello peter", 1.0), said("is it urgent", 6.0)]
    right = [said("good morning", 3.0)]
    conversation = join(left, right)
    assert lines(conversation) == [
        ("SPEAKER_00", "hello peter"),
        ("SPEAKER_01", "good morning"),
        ("SPEAKER_00", "is it urgent"),
    ]
    assert conversation.turns == (
        Turn(1.0, 1.7, "SPEAKER_00"),
        Turn(3.0, 3.7, "SPEAKER_01"),
        Turn(6.0, 7.1, "SPEAKER_00"),
    )
    assert all(
        word.speaker == segment.speaker
        for segment in conversation.segments
        for word in segment.words
    )


def test_what_is_heard_more_quietly_in_the_other_channel_is_written_once() -> None:
    left = [said("hello peter", 1.0), said("Good morning.", 3.04, ECHO)]
    right = [said("Hello, Peter!", 1.04, ECHO), said("good morning", 3.0)]
    assert lines(join(left, right)) == [
        ("SPEAKER_00", "hello peter"),
        ("SPEAKER_01", "good morning"),
    ]


@pytest.mark.parametrize("level", [LOUD, LOUD - ECHO_DB + 1])
def test_two_people_who_say_the_same_at_once_are_both_heard(level: int) -> None:
    assert len(lines(join([said("yes it is", 1.0)], [said("yes it is", 1.1, level)]))) == 2


@pytest.mark.parametrize(
    ("difference", "speakers"),
    [(ECHO_DB, 2), (LONE_ECHO_DB - 1, 2), (LONE_ECHO_DB, 1)],
)
def test_a_single_word_must_be_much_quieter_to_be_an_echo(difference: int, speakers: int) -> None:
    quiet = said("yes", 1.04, LOUD - difference)
    assert len(lines(join([said("yes", 1.0)], [quiet]))) == speakers


def test_a_run_of_words_need_not_be_so_quiet() -> None:
    quiet = said("yes it is", 1.04, LOUD - ECHO_DB)
    assert lines(join([said("yes it is", 1.0)], [quiet])) == [("SPEAKER_00", "yes it is")]


def test_the_same_words_at_another_time_are_said_again() -> None:
    late = said("yes it is", 1.0 + ECHO_SECONDS + 0.05, ECHO)
    assert len(lines(join([said("yes it is", 1.0)], [late]))) == 2


def test_other_words_at_the_same_time_stay_however_quiet() -> None:
    assert len(lines(join([said("yes it is", 1.0)], [said("no we are", 1.04, -60)]))) == 2


def test_a_line_that_is_in_part_an_echo_keeps_its_own_words() -> None:
    right = [window([[*words("hello peter", 1.04), *words("good day", 1.9)]], ECHO)]
    conversation = join([said("hello peter", 1.0)], right)
    assert lines(conversation) == [("SPEAKER_00", "hello peter"), ("SPEAKER_01", "good day")]
    (_, kept) = conversation.segments
    assert (kept.start, kept.end) == (1.9, 2.6)


def test_a_line_is_cut_where_an_echo_was_in_its_middle() -> None:
    mixed = [*words("i think", 1.0), *words("good morning maria", 2.0), *words("so", 3.3)]
    left = [window([mixed], ECHO)]
    right = [said("good morning maria", 1.96)]
    assert lines(join(left, right)) == [
        ("SPEAKER_00", "i think"),
        ("SPEAKER_01", "good morning maria"),
        ("SPEAKER_00", "so"),
    ]


def test_other_texts_of_a_line_lose_what_was_an_echo_too() -> None:
    def other(text: str) -> tuple[Alternative, ...]:
        return (Alternative(text, "beam", -0.3),)

    (far,) = said("how are you today", 1.0).segments
    behind = [*words("how are you today", 1.1), *words("fine banks", 2.8)]
    near = Segment(
        1.1,
        behind[-1].end,
        " ".join(word.word for word in behind),
        tuple(behind),
        alternatives=other("who are you to day fine thanks"),
    )
    conversation = join([heard([far], LOUD)], [heard([near], ECHO)])
    assert [segment.text for segment in conversation.segments] == [far.text, "fine banks"]
    assert conversation.segments[1].alternatives == other("fine thanks")


def test_a_script_without_spaces_is_rebuilt_without_spaces() -> None:
    signs = tuple(words("我 们 明 天 见", 1.0))
    echo = heard((Segment(1.0, signs[-1].end, "我们,明天见。", signs),), ECHO)
    other = heard((Segment(1.0, 1.7, "我们", signs[:2]),), LOUD)
    assert lines(join([echo], [other])) == [("SPEAKER_01", "我们"), ("SPEAKER_00", "明天见。")]


def test_vowel_marks_make_other_words() -> None:
    assert len(lines(join([said("के के", 1.0)], [said("का का", 1.04, ECHO)]))) == 2


def test_punctuation_alone_is_compared_as_it_is() -> None:
    assert len(lines(join([said("♪ ♪", 1.0)], [said("… …", 1.04, ECHO)]))) == 2
    assert len(lines(join([said("♪ ♪", 1.0)], [said("♪ ♪", 1.04, ECHO)]))) == 1


def misheard(level: int) -> list[tuple[str | None, str]]:
    """What is left of a sixth word, at a level, while the other side speaks."""
    left = [said("good morning maria how is it going today", 1.0)]
    right = [
        window([words("good morning maria how is", 1.04)], ECHO),
        window([words("digging", 3.1)], level),
    ]
    return lines(join(left, right))[1:]


@pytest.mark.parametrize(
    ("level", "kept"), [(ECHO - 10, False), (ECHO, False), (ECHO + 3, False), (ECHO + 5, True)]
)
def test_a_word_as_quiet_as_the_echoes_is_a_misheard_one(level: int, kept: bool) -> None:
    assert misheard(level) == ([("SPEAKER_01", "digging")] if kept else [])


def test_a_quiet_word_while_the_other_side_is_silent_stays() -> None:
    left = [said("good morning maria how is it", 1.0)]
    right = [said("good morning maria how is it", 1.04, ECHO), said("fine", 8.0, ECHO)]
    left += [HeardWindow((Span(8 * SAMPLE_RATE, 9 * SAMPLE_RATE),), (), ((LOUD,) * 10,))]  # a cough
    assert lines(join(left, right))[1:] == [("SPEAKER_01", "fine")]


def test_a_few_words_do_not_tell_how_loud_echoes_are() -> None:
    left = [said("good morning maria how", 1.0)]
    right = [window([[*words("good morning maria", 1.04), *words("now", 2.24)]], ECHO)]
    assert lines(join(left, right))[1:] == [("SPEAKER_01", "now")]


def test_one_word_has_one_echo() -> None:
    """Who says it twice, quietly, while another says it once, has said it at least once."""
    left = [said("yes", 1.0)]
    right = [window([words("yes yes", 0.95, step=0.2, length=0.15)], ECHO)]
    assert [text for _, text in lines(join(left, right))] == ["yes", "yes"]


def test_an_echo_of_an_echo_leaves_one_speaker() -> None:
    channels = [[said("hello peter", 1.0 + 0.04 * n, -20 - 8 * n)] for n in range(3)]
    assert lines(join(*channels)) == [("SPEAKER_00", "hello peter")]


def test_without_levels_nothing_is_dropped() -> None:
    bare = HeardWindow((Span(0, 32_000),), said("hello peter", 1.04).segments)
    assert len(lines(join([said("hello peter", 1.0)], [bare]))) == 2


def test_lines_without_words_are_compared_as_a_whole() -> None:
    loud = heard((Segment(1.0, 5.0, "Hello Peter, good morning."),), LOUD)
    echo = heard((Segment(1.8, 5.2, "hello peter good morning"),), ECHO)
    other = heard((Segment(1.8, 5.2, "hello peter good night"),), ECHO)
    late = heard((Segment(3.9, 7.0, "hello peter good morning"),), ECHO)
    assert len(lines(join([loud], [echo]))) == 1
    assert len(lines(join([loud], [other]))) == 2
    assert len(lines(join([loud], [late]))) == 2


def test_lines_near_each_other_are_one_turn() -> None:
    near = window([words("one two", 1.0), words("three", 2.0)], LOUD)
    assert join([near, said("four", 2.9)]).turns == (
        Turn(1.0, 2.3, "SPEAKER_00"),
        Turn(2.9, 3.2, "SPEAKER_00"),
    )


def test_at_the_same_moment_the_first_channel_comes_first() -> None:
    conversation = join([said("one", 1.0)], [said("two", 1.0)])
    assert [speaker for speaker, _ in lines(conversation)] == ["SPEAKER_00", "SPEAKER_01"]


def test_a_channel_keeps_its_number() -> None:
    assert lines(join_channels({2: [said("one", 1.0)]})) == [("SPEAKER_02", "one")]
    assert channel_speaker(15) == "SPEAKER_15"


@pytest.mark.parametrize("channels", [{}, {0: []}, {0: [], 1: [HeardWindow((Span(0, 9),), ())]}])
def test_silence_is_no_conversation(channels: dict[int, list[HeardWindow]]) -> None:
    assert join_channels(channels) == Conversation((), ())


Spoken = tuple[int, Word, int]  # channel, word, level


def conversations(seed: int) -> list[list[HeardWindow]]:
    """People who know four words, now and then at the same time."""
    dice = random.Random(seed)
    return [
        [
            said(
                " ".join(dice.choices(["yes", "no", "Peter,", "order"], k=dice.randint(1, 5))),
                round(6.0 * number + dice.uniform(0, 2.0), 2),
                dice.choice([-60, -40, -32, -28, -24, -20]),
            )
            for number in range(20)
        ]
        for _ in range(dice.randint(1, 4))
    ]


def dropped_and_all(channels: list[list[HeardWindow]]) -> tuple[list[Spoken], list[Spoken]]:
    conversation = join(*channels)
    starts = [segment.start for segment in conversation.segments]
    assert starts == sorted(starts)
    left = {
        (word.speaker, word.word, word.start)
        for segment in conversation.segments
        for word in segment.words
    }
    every = [
        (number, word, own.levels[0][0])
        for number, channel in enumerate(channels)
        for own in channel
        for word in own.segments[0].words
    ]
    gone = [
        (number, word, level)
        for number, word, level in every
        if (channel_speaker(number), word.word, word.start) not in left
    ]
    assert len(gone) + len(left) == len(every)
    return gone, every


@pytest.mark.parametrize("seed", range(60))
def test_no_word_is_dropped_unless_a_louder_channel_speaks_at_that_time(seed: int) -> None:
    gone, every = dropped_and_all(conversations(seed))
    for number, word, level in gone:
        assert any(
            place != number
            and loud - level >= ECHO_DB
            and twin.start < word.end + ECHO_SECONDS
            and twin.end > word.start - ECHO_SECONDS
            for place, twin, loud in every
        )


@pytest.mark.parametrize("seed", range(60))
def test_no_word_without_a_louder_twin_is_dropped_if_nothing_is_misheard(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SURE_ECHOES", 10**9)
    gone, every = dropped_and_all(conversations(seed))
    assert gone or seed != 1  # this one has echoes
    for number, word, level in gone:
        assert any(
            place != number
            and twin.word == word.word
            and abs(twin.start - word.start) <= ECHO_SECONDS + 1e-9
            and loud - level >= ECHO_DB
            for place, twin, loud in every
        )


@pytest.mark.slow
def test_a_hundred_thousand_words_take_seconds() -> None:
    text = " ".join(f"word{index % 500}" for index in range(50))
    left = [said(text, 21.0 * number) for number in range(1000)]
    right = [said(text, 21.0 * number + 0.04, ECHO) for number in range(1000)]
    begin = time.perf_counter()
    conversation = join(left, right)
    assert time.perf_counter() - begin < 60  # 2 s on a core of its own
    assert sum(len(segment.words) for segment in conversation.segments) == 50_000
