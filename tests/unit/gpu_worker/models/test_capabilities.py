"""What a model cannot do is known by its name."""

from __future__ import annotations

import pytest

from gpu_worker.errors import InvalidOption
from gpu_worker.models.capabilities import (
    can_translate,
    check_english_only,
    is_english_only,
    translation_notices,
    usual_beam_size,
)
from gpu_worker.models.whisper import HUB_MODELS


def test_the_english_only_models_are_those_that_end_in_en() -> None:
    named = {name for name in HUB_MODELS if is_english_only(name)}
    assert named == {
        "tiny.en", "base.en", "small.en", "medium.en", "distil-small.en", "distil-medium.en",
    }  # fmt: skip
    assert all(is_english_only(HUB_MODELS[name]) for name in named)
    assert not any(is_english_only(HUB_MODELS[name]) for name in HUB_MODELS.keys() - named)


def test_a_directory_s_name_says_nothing() -> None:
    assert not is_english_only("/models/mine.en")


def test_only_the_smallest_models_search_with_beams() -> None:
    small = {"tiny", "tiny.en", "base", "base.en"}
    assert {name for name in HUB_MODELS if usual_beam_size(name) == 5} == small
    assert {name for name, at in HUB_MODELS.items() if usual_beam_size(at) == 5} == small
    assert usual_beam_size("/models/base") == 5
    assert [usual_beam_size(name) for name in ("pico", "fake", "a/base-large", "tinyer", "")] == [
        1
    ] * 5


@pytest.mark.parametrize("language", [None, "en"])
def test_an_english_only_model_transcribes_english(language: str | None) -> None:
    check_english_only("tiny.en", language, "transcribe")


@pytest.mark.parametrize(
    ("language", "task", "words"),
    [
        ("de", "transcribe", "language=de: leave the language out, or choose a multilingual model"),
        ("en", "translate", "cannot translate: use task=transcribe, or choose"),
        (None, "translate", "cannot translate"),
    ],
)
def test_what_an_english_only_model_cannot_do_is_refused(
    language: str | None, task: str, words: str
) -> None:
    with pytest.raises(InvalidOption, match=f"'tiny.en' knows English only .*{words}"):
        check_english_only("tiny.en", language, task)


@pytest.mark.parametrize(
    ("model", "can"),
    [
        ("large-v3", True),
        ("base", True),
        ("pico", True),
        ("Systran/faster-whisper-large-v3", True),
        ("turbo", False),
        ("large-v3-turbo", False),
        ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", False),
        ("deepdml/faster-whisper-large-v3-turbo-ct2", False),
        ("/models/faster-whisper-large-v3-turbo", False),
        ("distil-large-v2", False),
        ("distil-large-v3.5", False),
        ("Systran/faster-distil-whisper-large-v3", False),
        ("distil-whisper/distil-large-v3.5-ct2", False),
    ],
)
def test_turbo_and_the_distilled_models_cannot_translate(model: str, can: bool) -> None:
    assert can_translate(model) is can
    assert bool(translation_notices(model, "translate")) is not can
    assert translation_notices(model, "transcribe") == ()
