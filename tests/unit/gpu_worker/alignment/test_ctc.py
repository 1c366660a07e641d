"""Paths that are searched on the model's device give the very same words as on the host."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.alignment import AlignerRequest, SpokenWindow, align
from gpu_worker.alignment.ctc import CtcAligner, FoundPath
from gpu_worker.alignment.emissions import EmissionModel, load_emission_model
from gpu_worker.pcm import SAMPLE_RATE
from tests.inputs.speech import heldout

pytestmark = pytest.mark.slow  # it imports torch and transformers


def spoken(text: str, seconds: float) -> SpokenWindow:
    """A window of speech; what was really said in it does not matter."""
    audio = heldout("en")[0].samples
    return SpokenWindow(np.resize(audio, int(seconds * SAMPLE_RATE)), tuple(text.split()))


# Also nothing known, too many letters, no sound and no words.
WINDOWS = [
    spoken("good morning", 1.1),
    spoken("the order's 2 urgent", 2.9),
    spoken("yes 7 €", 0.5),
    spoken("incomprehensibilities and more", 0.2),
    spoken("a", 0.0),
    spoken("", 1.0),
]


@pytest.fixture(scope="module")
def model() -> EmissionModel:
    return load_emission_model(AlignerRequest("ctc", "pico-align", "en", device="cpu"))


def test_a_large_batch_brings_back_paths_alone(model: EmissionModel) -> None:
    aligner = CtcAligner(model, "en", least_on_device=4)
    heard = aligner.hear(WINDOWS)
    assert [isinstance(one, FoundPath) for one in heard] == [True] * 4 + [False] * 2
    assert align(aligner, WINDOWS) == align(CtcAligner(model, "en"), WINDOWS)


def test_a_small_batch_is_searched_on_the_host(model: EmissionModel) -> None:
    heard = CtcAligner(model, "en", least_on_device=4).hear(WINDOWS[:3])
    assert not any(isinstance(one, FoundPath) for one in heard)


def test_windows_of_both_kinds_are_timed_together(model: EmissionModel) -> None:
    """A unit's windows may have been in a large batch and in a small one."""
    aligner = CtcAligner(model, "en", least_on_device=4)
    heard = [*aligner.hear(WINDOWS), *aligner.hear(WINDOWS[:2])]
    both = [*WINDOWS, *WINDOWS[:2]]
    words = aligner.time(both, heard)
    expected = align(CtcAligner(model, "en"), WINDOWS)
    assert words[:6] == expected
    for one, other in zip(words[6:], expected[:2], strict=True):
        assert [word.start for word in one] == [word.start for word in other]


def test_memory_that_the_search_has_not_is_told_as_such(
    model: EmissionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the batcher tries halves."""

    def full(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("gpu_worker.alignment.ctc.align_symbols", full)
    with pytest.raises(MemoryError):
        CtcAligner(model, "en", least_on_device=1).hear(WINDOWS)
