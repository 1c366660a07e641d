"""The names, files and languages of the models of NeMo's Parakeet kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_worker.errors import InvalidOption, UnknownModel
from gpu_worker.models.allowed import check_allowed
from gpu_worker.models.files import ModelFiles
from gpu_worker.models.parakeet import (
    PARAKEET_MODELS,
    ParakeetModel,
    check_writes,
    is_parakeet,
    parakeet_files,
    parakeet_languages,
)
from gpu_worker.models.whisper import cached_model, fetch_model, find_model
from gpu_worker.transcription.languages import LANGUAGES
from tests.inputs.hub_cache import put_into_hub_cache

TDT = ("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json")
V3 = "parakeet-tdt-0.6b-v3"


@pytest.mark.parametrize("name", [*PARAKEET_MODELS, "owner/any-model-onnx"])
def test_names_of_the_table_and_repositories_of_graphs_are_of_this_kind(name: str) -> None:
    assert is_parakeet(name)
    assert str(find_model(name).repository).endswith("-onnx")


@pytest.mark.parametrize("name", ["base", "auto", "pico", "owner/name", "x-onnx", "/none-onnx"])
def test_other_names_are_not(name: str) -> None:
    assert not is_parakeet(name)


def test_a_repository_must_have_a_name_of_the_hub() -> None:
    with pytest.raises(UnknownModel):
        find_model("../any-onnx")


@pytest.mark.parametrize(
    "files",
    [TDT, ("model.onnx", *TDT[2:]), ("model.int8.onnx", *TDT[2:])],
)
def test_a_directory_is_of_this_kind_if_its_files_are(tmp_path: Path, files: tuple[str]) -> None:
    for missing in files:
        for name in files:
            (tmp_path / name).touch()
        (tmp_path / missing).unlink()
        assert not is_parakeet(str(tmp_path))
    (tmp_path / files[-1]).touch()
    assert is_parakeet(str(tmp_path))
    assert find_model(str(tmp_path)).directory == tmp_path


def test_only_the_graphs_of_one_kind_of_numbers_are_fetched() -> None:
    assert {"encoder-model.onnx", "encoder-model.onnx.data"} <= set(parakeet_files().fetched)
    assert not any("int8" in name for name in parakeet_files().fetched)
    assert "encoder-model.onnx" not in parakeet_files("int8").fetched
    assert "decoder_joint-model.int8.onnx" in parakeet_files("int8").fetched


def test_what_is_in_the_cache_is_had_without_the_hub(tmp_path: Path, no_hub: None) -> None:
    source = find_model(V3)
    assert cached_model(source, str(tmp_path)) is None
    here = put_into_hub_cache(source, tmp_path, *TDT)
    assert fetch_model(source, str(tmp_path), None) == here


def test_a_set_of_files_is_whole_if_each_has_one(tmp_path: Path) -> None:
    files = ModelFiles(("*",), (("a.*", "b"),))
    (tmp_path / "a.txt").touch()
    assert not files.is_whole(tmp_path)
    (tmp_path / "b").touch()
    assert files.is_whole(tmp_path)


def test_the_languages_of_a_model_are_in_the_table_or_beside_it(tmp_path: Path) -> None:
    assert len(parakeet_languages(V3) or ()) == 25
    assert parakeet_languages("istupakov/parakeet-tdt-0.6b-v2-onnx") == frozenset({"en"})
    assert parakeet_languages("owner/any-onnx") is None
    assert parakeet_languages(str(tmp_path)) is None
    (tmp_path / "model.json").write_text('{"languages": ["de", "en"]}')
    assert parakeet_languages(str(tmp_path)) == frozenset({"de", "en"})
    assert parakeet_languages("owner/any-onnx", tmp_path) == frozenset({"de", "en"})


@pytest.mark.parametrize("card", ["[]", "no json", '{"languages": 3}'])
def test_a_card_that_is_none_is_told(tmp_path: Path, card: str) -> None:
    (tmp_path / "model.json").write_text(card)
    with pytest.raises(InvalidOption, match=r"model\.json cannot be read"):
        parakeet_languages(str(tmp_path))


@pytest.mark.parametrize("model", PARAKEET_MODELS.values())
def test_the_table_s_languages_are_languages(model: ParakeetModel) -> None:
    assert model.languages <= LANGUAGES.keys()


def test_what_such_a_model_cannot_do_is_refused() -> None:
    check_writes(V3, parakeet_languages(V3), "de", "transcribe")
    check_writes(V3, None, "ja", "transcribe")
    with pytest.raises(InvalidOption, match="does not know language=ja"):
        check_writes(V3, parakeet_languages(V3), "ja", "transcribe")
    with pytest.raises(InvalidOption, match="cannot translate"):
        check_writes(V3, None, None, "translate")


def test_jobs_may_name_those_of_the_table() -> None:
    check_allowed(V3, ())
