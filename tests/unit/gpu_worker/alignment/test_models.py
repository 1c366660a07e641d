"""Each language has whisperX's model, unless another is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.alignment.models import (
    DEFAULT_ALIGN_MODELS,
    align_model,
    fetch_align_model,
    is_bundle,
)
from gpu_worker.builtin import PICO_ALIGN
from gpu_worker.errors import ModelUnavailable, NoAlignModel, UnknownModel
from tests.servers.hub import play_hub


@pytest.mark.slow
def test_the_table_is_whisperx_own() -> None:
    alignment = pytest.importorskip("whisperx.alignment")
    known = alignment.DEFAULT_ALIGN_MODELS_TORCH | alignment.DEFAULT_ALIGN_MODELS_HF
    assert known == DEFAULT_ALIGN_MODELS


@pytest.mark.parametrize(
    ("transcription", "language", "chosen", "name"),
    [
        ("pico", "en", None, "pico-align"),
        ("pico", "es", None, "pico-align"),
        ("pico", "en", "WAV2VEC2_ASR_BASE_960H", "WAV2VEC2_ASR_BASE_960H"),
        ("pico", "de", None, "VOXPOPULI_ASR_BASE_10K_DE"),
        ("large-v3", "en", None, "WAV2VEC2_ASR_BASE_960H"),
        ("large-v3", "en", "pico-align", "pico-align"),
        ("large-v3", "nl", None, "jonatasgrosman/wav2vec2-large-xlsr-53-dutch"),
        ("fake", "en", None, "fake"),
        ("fake-50x", "xx", None, "fake"),
        ("fake", "en", "fake-slow", "fake-slow"),
        ("fake-owner/whisper", "en", None, "WAV2VEC2_ASR_BASE_960H"),
    ],
)
def test_which_model_aligns(
    transcription: str, language: str, chosen: str | None, name: str
) -> None:
    assert align_model(transcription, language, chosen) == name


def test_a_language_that_nobody_aligns_is_refused_with_advice() -> None:
    with pytest.raises(NoAlignModel, match="'xx'") as refused:
        align_model("large-v3", "xx", None)
    assert "--align-model" in refused.value.advice
    assert align_model("large-v3", "xx", "owner/name") == "owner/name"


def test_bundles_are_told_from_repositories() -> None:
    assert is_bundle("WAV2VEC2_ASR_BASE_960H")
    assert not any(map(is_bundle, ("pico-align", "owner/NAME", "/models/A")))


def test_models_on_this_machine_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    assert fetch_align_model("pico-align", None, None) == PICO_ALIGN
    assert fetch_align_model(str(tmp_path), None, None) == tmp_path


@pytest.mark.parametrize("name", ["", "nothing", "../up", "/no/such/directory", "a/b/c"])
def test_a_name_that_is_no_model_is_refused(name: str) -> None:
    with pytest.raises(UnknownModel, match="align model"):
        fetch_align_model(name, None, None)


def test_a_hub_that_cannot_be_reached_is_unavailable(tmp_path: Path, no_hub: None) -> None:
    with pytest.raises(ModelUnavailable, match=r"owner/name.*: Connect(ion)?Error"):
        fetch_align_model("owner/name", str(tmp_path), None)


@pytest.mark.parametrize(
    ("files", "fetched"),
    [
        (("model.safetensors", "pytorch_model.bin"), "model.safetensors"),
        (("pytorch_model.bin",), "pytorch_model.bin"),
    ],
)
def test_one_kind_of_weights_is_fetched_with_the_token(
    files: tuple[str, ...], fetched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with play_hub(dict.fromkeys((*files, "config.json"), b"{}")) as hub:
        hub.stand_in(monkeypatch)
        directory = fetch_align_model("owner/name", str(tmp_path), "secret")
    assert {file.name for file in directory.iterdir()} == {"config.json", fetched}
    assert hub.tokens == {"Bearer secret"}
