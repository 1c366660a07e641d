"""A chunk's samples become segments in times of the whole file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpu_worker.audio.levels import frame_levels
from gpu_worker.audio.samples import Audio, pcm_to_audio
from gpu_worker.errors import InvalidOption, OutOfMemory
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.pcm import Span
from gpu_worker.transcript import TranscriptWarning, Word
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, DetectedLanguage, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.language_runs import LanguageChoice
from gpu_worker.transcription.languages import detect_language
from tests.inputs.speech import recording

RATE = 16_000
OPTIONS = DecodeOptions(language="en")


class Altered(FakeEngine):
    """A fake engine whose answers are changed in some fields."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        return tuple(replace(text, **self.changes) for text in super().transcribe(windows, options))


class Polyglot(FakeEngine):
    """Hears a language for each window, as told."""

    def __init__(self, *heard: tuple[str, float]) -> None:
        super().__init__()
        self.heard = heard

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        return tuple(DetectedLanguage(*found) for found in self.heard)


@pytest.fixture(scope="module")
def audio() -> Audio:
    return recording(60, gap=(1.0, 2.0))[0]


def test_times_count_from_the_start_of_the_file(audio: Audio) -> None:
    here = transcribe_chunk(FakeEngine(), audio, OPTIONS)
    there = transcribe_chunk(FakeEngine(), audio, OPTIONS, first_sample=600 * RATE)
    assert here.segments and len(here.segments) == len(there.segments)
    for early, late in zip(here.segments, there.segments, strict=True):
        assert late.text == early.text
        assert late.start == pytest.approx(early.start + 600, abs=0.002)
        assert late.words[-1].end == pytest.approx(early.words[-1].end + 600, abs=0.002)
    assert there.windows[0].spans[0][0] == here.windows[0].spans[0][0] + 600 * RATE


def test_words_and_segments_are_in_order_and_inside_the_audio(audio: Audio) -> None:
    heard = transcribe_chunk(FakeEngine(), audio, OPTIONS)
    words = [word for segment in heard.segments for word in segment.words]
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= len(audio) / RATE for word in words)
    assert all(
        (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
        for segment in heard.segments
    )


def test_the_batch_size_does_not_change_the_text(audio: Audio) -> None:
    one, many = (transcribe_chunk(FakeEngine(), audio, OPTIONS, batch_size=n) for n in (1, 64))
    assert one == many


def test_a_batch_that_does_not_fit_is_made_smaller(audio: Audio) -> None:
    small = transcribe_chunk(FakeEngine(largest_batch=1), audio, OPTIONS, batch_size=16)
    assert small == transcribe_chunk(FakeEngine(), audio, OPTIONS)


def test_a_window_that_does_not_fit_is_out_of_memory(audio: Audio) -> None:
    with pytest.raises(OutOfMemory):
        transcribe_chunk(FakeEngine(largest_batch=0), audio, OPTIONS)


def test_silence_gives_no_segments_and_runs_no_batch() -> None:
    heard = transcribe_chunk(FakeEngine(largest_batch=0), np.zeros(RATE, np.float32), OPTIONS)
    assert heard == ChunkTranscript(())


def test_what_the_model_takes_for_silence_is_left_out(audio: Audio) -> None:
    engine = Altered(no_speech_prob=0.9, avg_logprob=-2.0)
    heard = transcribe_chunk(engine, audio, OPTIONS)
    assert heard.segments == () and heard.windows
    # The speech detection is of another mind: a reader is told where.
    assert {warning.code for warning in heard.warnings} == {"speech_without_words"}


def test_without_words_a_window_is_one_segment(audio: Audio) -> None:
    heard = transcribe_chunk(Altered(words=()), audio, OPTIONS)
    spans = [(round(segment.start * RATE), round(segment.end * RATE)) for segment in heard.segments]
    assert len(spans) == len(heard.windows)
    for span, window in zip(spans, heard.windows, strict=True):
        assert span == pytest.approx((window.spans[0][0], window.spans[-1][1]), abs=16)


def test_the_check_is_asked_before_each_batch(audio: Audio) -> None:
    asked: list[None] = []
    heard = transcribe_chunk(
        FakeEngine(), audio, OPTIONS, batch_size=1, before_batch=lambda: asked.append(None)
    )
    assert len(asked) == len(heard.windows) > 1


def test_a_chunk_survives_its_artifact(audio: Audio) -> None:
    heard = transcribe_chunk(FakeEngine(), audio, OPTIONS)
    assert ChunkTranscript.from_json(heard.to_json()) == heard


def test_each_span_of_speech_has_its_levels(audio: Audio) -> None:
    heard = transcribe_chunk(FakeEngine(), audio, OPTIONS, first_sample=600 * RATE)
    assert heard.windows
    for window in heard.windows:
        for (first, last), levels in zip(window.spans, window.levels, strict=True):
            own = audio[first - 600 * RATE : last - 600 * RATE]
            assert levels == frame_levels(own)
            assert max(levels) > -25  # there is speech


def test_an_artifact_without_levels_is_read() -> None:
    bare = {"windows": [{"spans": [[0, 5]], "segments": []}]}
    assert ChunkTranscript.from_json(bare).windows == (HeardWindow((Span(0, 5),), ()),)


@pytest.mark.parametrize(
    ("heard", "language"),
    [
        ([("es", 0.6), ("es", 0.6), ("en", 0.99)], "es"),
        ([("es", 0.6), ("en", 0.9)], "en"),
        ([("de", 0.1)], "de"),
    ],
)
def test_the_language_is_what_most_windows_are_in(
    heard: list[tuple[str, float]], language: str
) -> None:
    windows = [np.zeros(RATE, np.float32)] * len(heard)
    assert detect_language(Polyglot(*heard), windows) == language


def test_without_speech_there_is_no_language() -> None:
    assert detect_language(FakeEngine(), []) is None


def test_samples_become_floats_between_minus_one_and_one() -> None:
    audio = pcm_to_audio(np.array([-32768, 0, 16384], "<i2").tobytes())
    assert audio.dtype == np.float32
    assert audio.tolist() == [-1.0, 0.0, 0.5]


class Bilingual(FakeEngine):
    """Hears German after a moment of the file, which is told by how loud its samples are."""

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        loud = [float(np.abs(snippet).max()) > 0.5 for snippet in snippets]
        return tuple({"en": 0.99, "de": 0.01} if one else {"en": 0.01, "de": 0.99} for one in loud)

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        said = options.language or ""
        first = Word(said, 0.0, 0.1, 1.0)
        return tuple(
            replace(text, text=f"{said} {text.text}", words=(first, *text.words))
            for text in super().transcribe(windows, options)
        )


def test_each_window_is_decoded_and_kept_in_its_own_language(audio: Audio) -> None:
    half = len(audio) // 2
    quieter = np.concatenate([audio[:half], audio[half:] * np.float32(0.3)])
    heard = transcribe_chunk(
        Bilingual(), quieter, DecodeOptions(), languages=LanguageChoice(("de", "en"))
    )
    languages = [segment.language or "" for segment in heard.segments]
    assert languages == sorted(languages, reverse=True)  # en, then de
    assert set(languages) == {"en", "de"}
    begins = [window.segments[0] for window in heard.windows]
    assert all(segment.text.startswith(f"{segment.language} ") for segment in begins)


def test_without_languages_segments_name_none(audio: Audio) -> None:
    heard = transcribe_chunk(Bilingual(), audio, OPTIONS)
    assert {segment.language for segment in heard.segments} == {None}


def test_a_language_that_the_model_has_not_is_refused_before_anything_is_heard(
    audio: Audio,
) -> None:
    class Refusing(Bilingual):
        def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
            if options.language == "xx":
                raise InvalidOption("no xx")
            return ()

    with pytest.raises(InvalidOption):
        transcribe_chunk(Refusing(), audio, DecodeOptions(), languages=LanguageChoice(("en", "xx")))
