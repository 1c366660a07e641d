"""The models that are in the package, or that have no files, and what belongs to them."""

from __future__ import annotations

import pytest

from gpu_worker.alignment.models import align_model, is_local
from gpu_worker.diarization.models import diarize_model, is_on_hub
from gpu_worker.models.builtin import BUILTIN_MODELS, builtin_model
from gpu_worker.models.whisper import find_model

each_name = pytest.mark.parametrize("name", BUILTIN_MODELS)


@each_name
def test_nothing_is_fetched_for_a_builtin_model_and_its_words(name: str) -> None:
    source = find_model(name)
    assert (source.repository, source.wheel) == (None, None)
    assert source.directory is None or (source.directory / "config.json").is_file()
    assert is_local(align_model(name, "en", None))


@each_name
def test_its_speakers_are_told_apart_without_the_hub(name: str) -> None:
    assert not is_on_hub(diarize_model(name))


def test_a_speed_is_a_part_of_the_fake_engine_s_name() -> None:
    assert builtin_model("fake-50x") is BUILTIN_MODELS["fake"]
    for other in ("fake-", "fake-0x", "owner/fake", "fakes", "base"):
        assert builtin_model(other) is None
