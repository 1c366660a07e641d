"""Names of models, where their files are, and how they are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.builtin import PICO
from gpu_worker.errors import ModelUnavailable, UnknownModel
from gpu_worker.models import (
    HUB_MODELS,
    WHISPER_WINDOW_SECONDS,
    ModelSource,
    fetch_model,
    find_model,
    longest_window,
)


def test_the_builtin_model_is_on_this_machine() -> None:
    source = find_model("pico")
    assert source == ModelSource("pico", directory=PICO)
    assert fetch_model(source, None, None) == PICO
    assert longest_window(PICO) <= 10


@pytest.mark.parametrize("name", ["fake", "fake-50x"])
def test_the_fake_engine_has_no_files(name: str) -> None:
    assert find_model(name) == ModelSource(name)


@pytest.mark.parametrize("name", ["large-v3", "turbo", "tiny.en"])
def test_openai_names_stand_for_repositories(name: str) -> None:
    source = find_model(name, revision="main")
    assert (source.repository, source.revision) == (HUB_MODELS[name], "main")


def test_any_repository_can_be_named() -> None:
    assert find_model("owner/some-model").repository == "owner/some-model"


def test_a_directory_with_a_model_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    assert find_model(str(tmp_path)).directory == tmp_path
    assert longest_window(tmp_path) == WHISPER_WINDOW_SECONDS


@pytest.mark.parametrize(
    "name", ["", "largest", "fake-0x", "../../etc", "a/b/c", "/nowhere", "a b/c"]
)
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(UnknownModel):
        find_model(name)


def test_a_hub_that_cannot_be_reached_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelUnavailable, match="'tiny' could not be fetched"):
        fetch_model(find_model("tiny"), str(tmp_path), None)
