"""What every engine must do, whatever its model is: one suite over all of them.

A new engine has a row in `CASES`. What only one of them does is tested in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.errors import InvalidOption
from gpu_worker.loaded import load_engine
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, WindowText
from gpu_worker.transcription.engines.fake import FakeEngine
from gpu_worker.transcription.languages import LANGUAGES
from tests.inputs.parakeet_model import Head, write_parakeet
from tests.inputs.real_models import real_model
from tests.inputs.speech import heldout

OPTIONS = DecodeOptions(language="en", temperatures=(0.0,))
NO_SPEECH = 0.6  # the default of no_speech_threshold
ROUNDING = 1e-6  # of a score, and of a time in seconds
Load = Callable[[Path], Engine]


@dataclass(frozen=True, slots=True)
class Case:
    """An engine with a model, and how it is asked for more memory than there is."""

    load: Load
    memory: str | None  # dotted name, from the engine, of what computes a batch; None: a limit
    prompt_warning: str | None  # its code, for a prompt that is far too long; None: no warning


def whisper(model: str, engine: str) -> Load:
    def load(directory: Path) -> Engine:
        if model != "pico":
            real_model(model)  # fetched, or the test is skipped
        return load_engine(EngineRequest(model, device="cpu", threads=1, engine=engine))

    return load


def parakeet(head: Head) -> Load:
    def load(directory: Path) -> Engine:
        model = str(write_parakeet(directory / head, head))
        return load_engine(EngineRequest(model, device="cpu", threads=1, engine="parakeet"))

    return load


CTRANSLATE2, TORCH, ONNX_ASR = "_model.encode", "_encode", "_model.recognize"
CASES = {
    "fake": Case(lambda _: FakeEngine(largest_batch=4), None, None),
    "faster_whisper-pico": Case(whisper("pico", "faster_whisper"), CTRANSLATE2, "prompt_cut"),
    "torch-pico": Case(whisper("pico", "torch"), TORCH, "prompt_cut"),
    "parakeet-ctc": Case(parakeet("ctc"), ONNX_ASR, "options_not_followed"),
    "parakeet-rnnt": Case(parakeet("rnnt"), ONNX_ASR, "options_not_followed"),
    "parakeet-tdt": Case(parakeet("tdt"), ONNX_ASR, "options_not_followed"),
    "faster_whisper-tiny.en": Case(whisper("tiny.en", "faster_whisper"), CTRANSLATE2, "prompt_cut"),
    "torch-tiny.en": Case(whisper("tiny.en", "torch"), TORCH, "prompt_cut"),
}
SLOW = ("torch", "faster_whisper")  # they import torch, or encode 30 s for every window


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ())
        for name in CASES
    ],
)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def engine(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return case.load(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def windows(engine: Engine) -> list[Audio]:
    """Two windows of one sentence each, and one that is as long as can be."""
    said = [spoken.samples for spoken in heldout("en")[:25]]
    longest = round(engine.max_window_seconds * SAMPLE_RATE)
    full = np.concatenate([np.pad(samples, (0, SAMPLE_RATE // 4)) for samples in said])[:longest]
    return [*said[:2], full]


@pytest.fixture(scope="module")
def texts(engine: Engine, windows: list[Audio]) -> tuple[WindowText, ...]:
    """The texts of the windows in company, as one batch."""
    return engine.transcribe(windows, OPTIONS)


def assert_same(one: WindowText, other: WindowText) -> None:
    assert one.text == other.text
    assert [word.word for word in one.words] == [word.word for word in other.words]
    for mine, theirs in zip(one.words, other.words, strict=True):
        assert mine.start == pytest.approx(theirs.start, abs=ROUNDING)
        assert mine.end == pytest.approx(theirs.end, abs=ROUNDING)
        assert mine.score == pytest.approx(theirs.score, abs=0.001)
    assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=0.01)


def assert_well_formed(text: WindowText, seconds: float) -> None:
    """The words are inside the window and in order, and together they are the text."""
    starts = [word.start for word in text.words]
    assert starts == sorted(starts)
    assert all(0.0 <= word.start <= word.end <= seconds + ROUNDING for word in text.words)
    assert all(0.0 <= word.score <= 1.0 + ROUNDING for word in text.words)
    told = "".join(word.word for word in text.words)
    assert "".join(told.split()) == "".join(text.text.split())
    assert text.text == text.text.strip()
    assert np.isfinite([text.avg_logprob, text.no_speech_prob, text.compression_ratio]).all()
    assert text.avg_logprob <= 0.0 and 0.0 <= text.no_speech_prob <= 1.0


def test_speech_gives_words(texts: tuple[WindowText, ...]) -> None:
    assert all(text.text and text.words for text in texts)


def test_a_window_alone_and_in_company_gives_the_same_text_and_words(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    for window, in_company in zip(windows, texts, strict=True):
        (alone,) = engine.transcribe([window], OPTIONS)
        assert_same(alone, in_company)


def test_texts_come_in_the_order_of_the_windows(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    for one, other in zip(engine.transcribe(windows[::-1], OPTIONS), texts[::-1], strict=True):
        assert_same(one, other)


def test_prepared_windows_are_decoded_as_if_they_were_transcribed(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    prepared = [engine.prepare(window) for window in windows]
    for one, other in zip(engine.decode(prepared, OPTIONS), texts, strict=True):
        assert_same(one, other)


def test_words_are_inside_the_window_in_order_and_together_the_text(
    windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    for window, text in zip(windows, texts, strict=True):
        assert_well_formed(text, len(window) / SAMPLE_RATE)


def test_without_word_times_the_text_is_the_same(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    found = engine.transcribe(windows, replace(OPTIONS, word_timestamps=False))
    assert [text.text for text in found] == [text.text for text in texts]
    assert all(text.words == () for text in found)


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_silence_has_no_text_or_is_told_as_silence(engine: Engine, seconds: float) -> None:
    silence = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    (text,) = engine.transcribe([silence], OPTIONS)
    assert not text.text or text.no_speech_prob > NO_SPEECH  # a real Whisper writes "you"
    assert_well_formed(text, seconds)


@pytest.mark.parametrize("samples", [0, 1, SAMPLE_RATE // 50])
def test_the_shortest_windows_are_heard(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...], samples: int
) -> None:
    """A piece of speech, or no sample at all: it harms neither itself nor its neighbours."""
    short = windows[0][len(windows[0]) // 2 :][:samples]
    before, found, after = engine.transcribe([windows[0], short, windows[1]], OPTIONS)
    assert_well_formed(found, samples / SAMPLE_RATE)
    assert_same(before, texts[0])
    assert_same(after, texts[1])


def test_the_longest_window_is_heard(
    engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    assert len(windows[-1]) == round(engine.max_window_seconds * SAMPLE_RATE)
    assert texts[-1].is_whole
    # A real Whisper may stop early in random words; that is found in `unheard.py`.
    assert texts[-1].words[-1].end > engine.max_window_seconds / 2


def test_a_window_that_is_too_long_is_refused(engine: Engine, windows: list[Audio]) -> None:
    longer = np.pad(windows[-1], (0, 1))
    for ask in (engine.prepare, lambda window: engine.transcribe([window], OPTIONS)):
        with pytest.raises(ValueError, match="longer than the"):
            ask(longer)


def test_languages_are_detected_or_declared(engine: Engine, windows: list[Audio]) -> None:
    assert engine.languages and engine.languages <= LANGUAGES.keys()
    if not engine.detects_language:
        with pytest.raises(InvalidOption):
            engine.detect_languages(windows)
        return
    found = engine.detect_languages(windows)
    assert len(found) == len(windows)
    assert all(one.language in engine.languages and 0 <= one.probability <= 1 for one in found)


def test_what_cannot_be_followed_is_a_warning(case: Case, engine: Engine) -> None:
    assert engine.warnings(OPTIONS) == ()
    found = engine.warnings(replace(OPTIONS, initial_prompt="the next meeting " * 500))
    assert [warning.code for warning in found] == (
        [case.prompt_warning] * bool(case.prompt_warning)
    )


def test_a_lack_of_memory_is_told_as_one_and_harms_no_later_batch(
    case: Case, engine: Engine, windows: list[Audio], texts: tuple[WindowText, ...]
) -> None:
    """The batcher halves the batch for it, so it must come as MemoryError."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(MemoryError):
        if case.memory is not None:
            run_out(engine, case.memory, patch)
        engine.transcribe(windows * 2, OPTIONS)
    (again,) = engine.transcribe(windows[:1], OPTIONS)
    assert_same(again, texts[0])


def run_out(engine: Any, name: str, patch: pytest.MonkeyPatch) -> None:
    """Let what computes a batch say what CUDA says."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    *parts, attribute = name.split(".")
    patch.setattr(reduce(getattr, parts, engine), attribute, fail)


def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.name and engine.device == "cpu"
    assert engine.kind in ("fake", "faster_whisper", "torch", "parakeet")
    assert engine.max_window_seconds > 0
