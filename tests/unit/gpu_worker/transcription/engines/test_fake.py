"""The engine without a model: equal audio gives equal words."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.errors import UnknownModel
from gpu_worker.loaded import load_engine
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.fake import VOCABULARY, FakeEngine

OPTIONS = DecodeOptions(language="en")
NOISE: Audio = np.random.default_rng(0).uniform(-1, 1, 48_000).astype(np.float32)


def test_the_same_samples_give_the_same_words() -> None:
    first, second = FakeEngine().transcribe([NOISE, NOISE], OPTIONS)
    assert first == second
    assert set(first.text.split()) <= set(VOCABULARY)


def test_a_shift_by_one_sample_changes_the_text() -> None:
    first, second = FakeEngine().transcribe([NOISE[:-1], NOISE[1:]], OPTIONS)
    assert first.text != second.text


def test_there_is_a_word_for_each_half_second_and_they_fill_the_window() -> None:
    (heard,) = FakeEngine().transcribe([NOISE], OPTIONS)
    assert len(heard.words) == 6
    assert (heard.words[0].start, heard.words[-1].end) == (0.0, 3.0)


def test_a_batch_can_be_too_large() -> None:
    with pytest.raises(MemoryError):
        FakeEngine(largest_batch=1).transcribe([NOISE, NOISE], OPTIONS)


def test_it_takes_everything_for_english() -> None:
    (found,) = FakeEngine().detect_languages([NOISE])
    assert (found.language, found.probability) == ("en", 1.0)


@pytest.mark.parametrize("name", ["fake", "fake-100000x"])
def test_it_is_loaded_by_name(name: str) -> None:
    engine = load_engine(EngineRequest(name))
    assert engine.name == name
    assert len(engine.transcribe([NOISE], OPTIONS)) == 1


@pytest.mark.parametrize("name", ["fake-", "fake-fastx", "faker"])
def test_a_name_that_only_begins_like_it_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel):
        load_engine(EngineRequest(name))
