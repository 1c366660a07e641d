"""Speech that a text passes over is decoded once more, and told of if it has no words even so."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.heard import ChunkTranscript
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from tests.inputs.speech import Utterance, recording

pytestmark = pytest.mark.slow  # it runs the real engine

RATE = 16_000
OPTIONS = DecodeOptions(language="en")


class Forgetful(FakeEngine):
    """Writes no words behind `seconds` of a window that is longer than `patience`."""

    def __init__(self, seconds: float, patience: float, *, last_fills: bool = False) -> None:
        super().__init__()
        self.seconds, self.patience = seconds, patience
        self.last_fills = last_fills  # its last word lasts until the window ends
        self.heard: list[float] = []

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        self.heard += [len(window) / RATE for window in windows]
        texts = super().transcribe(windows, options)
        return tuple(map(self._forget, windows, texts))

    def _forget(self, window: Audio, text: WindowText) -> WindowText:
        length = len(window) / RATE
        if length <= self.patience:
            return text
        words = tuple(word for word in text.words if word.end <= self.seconds)
        if self.last_fills:
            words = (*words[:-1], replace(words[-1], end=length))
        return replace(text, words=words, text=" ".join(word.word for word in words))


class Crowded(FakeEngine):
    """Has room for the words of `seconds` only; times say that they fill the window."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.heard: list[float] = []

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        self.heard += [len(window) / RATE for window in windows]
        return tuple(
            replace(text, is_whole=len(window) / RATE <= self.seconds)
            for window, text in zip(windows, super().transcribe(windows, options), strict=True)
        )


@pytest.fixture(scope="module")
def spoken() -> tuple[Audio, list[Utterance]]:
    return recording(60, gap=(0.2, 0.5))


def longest_silence(heard: ChunkTranscript, said: Sequence[Utterance]) -> float:
    """Seconds of the longest stretch from one word to the next in which something is said."""
    words = [word for segment in heard.segments for word in segment.words]
    edges = [(0.0, words[0].start)]
    edges += [(a.end, b.start) for a, b in itertools.pairwise(words)]
    edges.append((words[-1].end, said[-1].end))
    return max(
        sum(max(0.0, min(one.end, end) - max(one.start, start)) for one in said)
        for start, end in edges
    )


@pytest.mark.parametrize("last_fills", [False, True])
def test_a_remainder_that_the_text_leaves_out_is_decoded_again(
    spoken: tuple[Audio, list[Utterance]], last_fills: bool
) -> None:
    audio, said = spoken
    engine = Forgetful(5.0, patience=25.5, last_fills=last_fills)
    heard = transcribe_chunk(engine, audio, OPTIONS)
    assert max(engine.heard) > 25.5  # otherwise nothing was forgotten
    assert longest_silence(heard, said) < 3.0
    assert heard.warnings == ()
    starts = [segment.start for segment in heard.segments]
    assert starts == sorted(starts)
    spans = [span for window in heard.windows for span in window.spans]
    assert spans == sorted(spans)


def test_what_has_no_words_even_then_is_told_of(spoken: tuple[Audio, list[Utterance]]) -> None:
    audio, _ = spoken
    engine = Forgetful(5.0, patience=5.0)
    heard = transcribe_chunk(engine, audio, OPTIONS, first_sample=100 * RATE)
    assert {warning.code for warning in heard.warnings} == {"speech_without_words"}
    for warning in heard.warnings:
        assert warning.start is not None and warning.end is not None
        assert 100 <= warning.start < warning.end <= 100 + len(audio) / RATE


def test_nothing_is_decoded_a_third_time(spoken: tuple[Audio, list[Utterance]]) -> None:
    audio, _ = spoken
    engine = Forgetful(2.0, patience=2.0)
    transcribe_chunk(engine, audio, OPTIONS)
    assert sum(engine.heard) <= 2 * len(audio) / RATE


def test_a_text_that_misses_nothing_is_decoded_once(spoken: tuple[Audio, list[Utterance]]) -> None:
    audio, _ = spoken
    engine = Forgetful(30.0, patience=30.0)
    heard = transcribe_chunk(engine, audio, OPTIONS)
    assert len(engine.heard) == len(heard.windows)


def test_a_window_that_fills_the_model_s_text_is_decoded_in_smaller_ones(
    spoken: tuple[Audio, list[Utterance]],
) -> None:
    audio, _ = spoken
    engine = Crowded(12.0)
    heard = transcribe_chunk(engine, audio, OPTIONS)
    long = [seconds for seconds in engine.heard if seconds > 12.0]
    short = [seconds for seconds in engine.heard if seconds <= 12.0]
    assert long and len(heard.windows) == len(short)
    assert max(short) <= 10.0
    plain = transcribe_chunk(FakeEngine(), audio, OPTIONS)
    samples = [sum(end - start for start, end in window.spans) for window in heard.windows]
    assert sum(samples) >= 0.9 * sum(
        end - start for window in plain.windows for start, end in window.spans
    )


def test_words_that_are_not_wanted_are_timed_and_left_out(
    spoken: tuple[Audio, list[Utterance]],
) -> None:
    audio, said = spoken
    options = replace(OPTIONS, word_timestamps=False)
    heard = transcribe_chunk(Forgetful(5.0, patience=25.5), audio, options)
    assert all(segment.words == () for segment in heard.segments)
    worded = transcribe_chunk(Forgetful(5.0, patience=25.5), audio, OPTIONS)
    assert [s.text for s in heard.segments] == [s.text for s in worded.segments]
    assert said


def test_what_an_engine_tells_of_its_options_comes_with_the_chunk(
    spoken: tuple[Audio, list[Utterance]],
) -> None:
    class Telling(FakeEngine):
        def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
            return (TranscriptWarning("prompt_cut", "Too long."),)

    heard = transcribe_chunk(Telling(), spoken[0], OPTIONS)
    assert heard.warnings == (TranscriptWarning("prompt_cut", "Too long."),)
    assert ChunkTranscript.from_json(heard.to_json()) == heard
