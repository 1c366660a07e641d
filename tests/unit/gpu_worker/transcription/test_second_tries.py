"""Windows are decoded again in ways that are the same each time, and sampled last."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.doubt.thresholds import DECODED_AGAIN
from gpu_worker.heard import ChunkTranscript
from gpu_worker.transcription import second_tries
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.second_tries import decode_with_tries
from gpu_worker.words import join_texts
from tests.inputs.speech import recording

pytestmark = pytest.mark.slow  # it runs the real speech detection

RATE = 16_000
OPTIONS = DecodeOptions(language="en", beam_size=5)
OPTIONS_OF_GREEDY = DecodeOptions(language="en")
CHANCE = itertools.count()


def way_of(options: DecodeOptions, seconds: float) -> str:
    """How a window is decoded that has so many seconds."""
    if options.temperatures[0] > 0.0:
        return "sampled"
    if seconds <= second_tries.PART_SECONDS:
        return "split"
    if options.no_repeat_ngram_size:
        return "no_repeat"
    return "beam" if options.beam_size > 1 else "greedy"


class Unsure(FakeEngine):
    """Its text passes only if it is decoded in one of these ways; sampled texts are by chance."""

    kind = "faster_whisper"

    def __init__(self, *passing: str, doubtful: Sequence[str] = ()) -> None:
        super().__init__()
        self.passing, self.doubtful = passing, doubtful
        self.asked: list[str] = []
        self.seconds = 0.0

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        texts = super().transcribe(windows, options)
        self.seconds += sum(map(len, windows)) / RATE
        return tuple(map(self._answer, windows, texts, [options] * len(windows)))

    def _answer(self, window: Audio, text: WindowText, options: DecodeOptions) -> WindowText:
        way = way_of(options, len(window) / RATE)
        self.asked.append(way)
        passes = way in self.passing
        score = 0.2 if way in self.doubtful else 0.95
        # The last word says how the window was decoded.
        own = way if way != "sampled" else f"{way}{next(CHANCE)}"
        words = tuple(replace(word, score=score) for word in text.words)
        words = (*words[:-1], replace(words[-1], word=own))
        return replace(
            text,
            words=words,
            text=" ".join(word.word for word in words),
            avg_logprob=-0.5 if passes else -1.5,
        )


@pytest.fixture(scope="module")
def audio() -> Audio:
    return recording(70, gap=(0.2, 0.5))[0]


def heard(
    engine: FakeEngine, audio: Audio, options: DecodeOptions = OPTIONS, share: float = 0.0
) -> ChunkTranscript:
    return transcribe_chunk(engine, audio, options, second_tries=share)


def test_the_ways_come_in_order_until_a_text_passes(audio: Audio) -> None:
    order = ["beam", "greedy", "no_repeat", "split", "sampled"]
    for number, way in enumerate(order):
        engine = Unsure(way)
        found = heard(engine, audio)
        asked = list(dict.fromkeys(engine.asked))
        assert asked[: number + 1] == order[: number + 1]
        assert way in found.segments[0].text + found.segments[-1].text


def test_an_engine_that_cannot_sample_is_not_asked_for_it(audio: Audio) -> None:
    engine = Unsure()
    engine.kind = "parakeet"
    heard(engine, audio)
    assert set(engine.asked) == {"beam", "split"}


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_a_translation_is_as_fast_as_english_may_be(audio: Audio, language: str) -> None:
    engine = Unsure("beam")
    talk = DecodeOptions(language=language, beam_size=5, task="translate")
    heard(engine, audio, talk, share=1.0)
    assert set(engine.asked) == {"beam"}


@pytest.mark.parametrize("way", ["beam", "greedy", "no_repeat", "split"])
def test_two_runs_give_equal_texts_unless_sampling_was_reached(audio: Audio, way: str) -> None:
    assert heard(Unsure(way), audio) == heard(Unsure(way), audio)


def test_sampled_texts_differ(audio: Audio) -> None:
    assert heard(Unsure("sampled"), audio) != heard(Unsure("sampled"), audio)


def test_a_line_says_how_it_was_decoded_and_what_was_not_taken(audio: Audio) -> None:
    found = heard(Unsure("no_repeat"), audio)
    assert all(
        [flag.code for flag in segment.flags] == [DECODED_AGAIN] for segment in found.segments
    )
    others = [other for segment in found.segments for other in segment.alternatives]
    assert {other.by for other in others} == {"beam", "greedy"}
    assert {other.text.split()[-1] for other in others} >= {"beam", "greedy"}
    assert all(len(segment.alternatives) <= 2 for segment in found.segments)


def test_a_text_that_is_split_has_all_words_inside_its_window(audio: Audio) -> None:
    found = heard(Unsure("split"), audio)
    for window in found.windows:
        words = [word for segment in window.segments for word in segment.words]
        starts = [word.start for word in words]
        assert starts == sorted(starts)
        first, last = window.spans[0].start / RATE, window.spans[-1].end / RATE
        assert all(first - 0.01 <= word.start <= word.end <= last + 0.01 for word in words)
        said = join_texts(segment.text for segment in window.segments)
        assert said == " ".join(word.word for word in words)


def test_a_doubtful_greedy_text_gets_beams_within_the_budget(audio: Audio) -> None:
    every = ("beam", "greedy", "no_repeat", "split")
    none, some = (Unsure(*every, doubtful=every) for _ in range(2))
    heard(none, audio, OPTIONS_OF_GREEDY)
    assert set(none.asked) == {"greedy"}
    heard(some, audio, OPTIONS_OF_GREEDY, share=0.5)
    assert set(some.asked) == {"greedy", "beam"}  # no other way makes such words likelier
    assert some.seconds - none.seconds <= 0.5 * none.seconds


def test_the_worst_window_of_a_short_chunk_is_decoded_again_once(audio: Audio) -> None:
    engine = Unsure("beam", "greedy", doubtful=("beam", "greedy"))
    heard(engine, audio[: 25 * RATE], OPTIONS_OF_GREEDY, share=0.1)
    assert engine.asked == ["greedy", "beam"]


def test_unlikely_words_that_had_beams_are_not_decoded_again(audio: Audio) -> None:
    engine = Unsure("beam", doubtful=("beam",))
    heard(engine, audio, share=1.0)
    assert set(engine.asked) == {"beam"}


class Looping(Unsure):
    """Repeats itself, but for one way, and is sure of it."""

    def _answer(self, window: Audio, text: WindowText, options: DecodeOptions) -> WindowText:
        said = super()._answer(window, text, options)
        if way_of(options, len(window) / RATE) in self.doubtful:
            words = tuple(replace(word, word="so") for word in said.words)
            return replace(said, words=words, text=" ".join(word.word for word in words))
        return said


def test_a_loop_that_passes_the_thresholds_is_decoded_again(audio: Audio) -> None:
    engine = Looping("beam", "greedy", "no_repeat", doubtful=("beam", "greedy"))
    found = heard(engine, audio, share=1.0)
    assert "no_repeat" in engine.asked and "sampled" not in engine.asked
    assert "no_repeat" in " ".join(segment.text for segment in found.segments)


def test_text_without_a_voice_is_not_decoded_again() -> None:
    engine = Unsure("greedy")
    noise = np.random.default_rng(0).normal(0, 0.05, 12 * RATE).astype(np.float32)
    [tried] = decode_with_tries(
        [noise], OPTIONS, engine.transcribe, engine="faster_whisper", vad=None, share=0.2
    )
    assert tried.invented and engine.asked == ["beam"]
