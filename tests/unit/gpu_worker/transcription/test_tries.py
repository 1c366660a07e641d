"""Which ways a window is decoded in, and which text is taken."""

from __future__ import annotations

import pytest

from gpu_worker.transcript import Word
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import compression_ratio
from gpu_worker.transcription.tries import (
    Try,
    falls_back,
    own_way,
    sampled_way,
    sure_ways,
    taken,
    window_doubt,
    without_repetitions,
)

OPTIONS = DecodeOptions(language="en")
PLAIN = "the quick brown fox jumps over the lazy dog near the river"
LOOP = " ".join(["to understand"] * 12)


def text(said: str, log_probability: float = -0.3, score: float = 0.95) -> WindowText:
    """A text with words of half a second each."""
    words = tuple(
        Word(word, number / 2, number / 2 + 0.5, score) for number, word in enumerate(said.split())
    )
    return WindowText(said, words, log_probability, 0.0, compression_ratio(said), 0.0)


def best(*tries: tuple[str, WindowText], seconds: float = 10.0) -> str:
    """How the text was decoded that is taken."""
    return taken([Try(*one) for one in tries], OPTIONS, seconds).by


def ways(engine: str, options: DecodeOptions) -> list[tuple[str, int, int, tuple[float, ...]]]:
    """All ways, in order."""
    found = own_way(options), *sure_ways(engine, options), sampled_way(options)
    return [
        (
            way.by,
            way.options.beam_size,
            way.options.no_repeat_ngram_size,
            way.options.temperatures,
        )
        for way in found
    ]


def test_sampling_is_the_last_way() -> None:
    warm = OPTIONS.temperatures[1:]
    assert ways("faster_whisper", OPTIONS) == [
        ("greedy", 1, 0, (0.0,)), ("beam", 5, 0, (0.0,)), ("no_repeat", 5, 3, (0.0,)),
        ("sampled", 1, 0, warm),
    ]  # fmt: skip
    beams = DecodeOptions(language="en", beam_size=8)
    assert [way[:3] for way in ways("faster_whisper", beams)] == [
        ("beam", 8, 0), ("greedy", 1, 0), ("no_repeat", 8, 3), ("sampled", 8, 0),
    ]  # fmt: skip


def test_an_engine_without_beams_is_not_asked_for_them() -> None:
    assert [way[0] for way in ways("torch", OPTIONS)] == ["greedy", "sampled"]


def test_a_job_without_fallback_or_that_begins_with_sampling_is_decoded_as_it_says() -> None:
    for temperatures in ((0.0,), (0.4, 0.6)):
        options = DecodeOptions(language="en", temperatures=temperatures)
        assert not falls_back(options)
        assert own_way(options).options == options


def test_a_text_that_repeats_itself_is_taken_last_however_likely_it_is() -> None:
    assert best(("beam", text(LOOP, -0.05)), ("no_repeat", text(PLAIN, -0.9))) == "no_repeat"
    assert best(("beam", text(LOOP, -0.05)), ("greedy", text(LOOP, -0.1))) == "beam"


def test_a_text_faster_than_people_talk_comes_behind_one_that_is_not() -> None:
    fast = text(" ".join(f"word{number}" for number in range(40)), -0.1)
    assert best(("beam", fast), ("greedy", text(PLAIN, -0.5)), seconds=4.0) == "beam"  # too short
    half = text(" ".join(f"word{number}" for number in range(26)), -0.5)
    assert best(("beam", fast), ("greedy", half), seconds=6.0) == "greedy"


def test_of_texts_that_pass_the_likeliest_is_taken_and_the_first_of_equals() -> None:
    first = ("beam", text(PLAIN, -0.5))
    assert best(first, ("greedy", text(PLAIN, -0.6))) == "beam"
    assert best(first, ("greedy", text(PLAIN, -0.5))) == "beam"
    assert best(first, ("greedy", text(PLAIN, -0.4))) == "greedy"


def test_of_texts_that_fail_the_likeliest_is_taken() -> None:
    first = ("beam", text(PLAIN, -1.4))
    assert best(first, ("greedy", text(PLAIN, -1.35)), ("split", text(PLAIN, -1.5))) == "greedy"


def test_a_text_that_leaves_half_of_the_words_out_is_not_taken() -> None:
    assert best(("beam", text(PLAIN, -1.4)), ("greedy", text("the fox", -0.1))) == "beam"
    assert best(("beam", text(PLAIN, -1.4)), ("greedy", text("", 0.0))) == "beam"


def test_repetitions_are_left_out_once_is_enough() -> None:
    assert without_repetitions(f"we want {LOOP} this") == "we want to understand this"


@pytest.mark.parametrize(
    ("one", "seconds", "is_doubtful"),
    [
        (text(PLAIN), 10.0, False),
        (text(LOOP), 10.0, True),
        (text(PLAIN, score=0.3), 10.0, True),
        (text(PLAIN), 1.0, True),  # too fast
        (text(""), 10.0, False),
    ],
)
def test_repetitions_haste_and_unlikely_words_are_doubtful(
    one: WindowText, seconds: float, is_doubtful: bool
) -> None:
    assert (window_doubt(one, seconds, "en") > 0) == is_doubtful
