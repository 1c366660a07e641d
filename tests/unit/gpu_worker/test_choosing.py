"""Which models a job has that names none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpu_worker.choosing import ModelPlace, choose_diarizer, choose_model, missing_aligner
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.diarization.offline import OFFLINE_NAME, OFFLINE_WHEEL
from gpu_worker.errors import ModelUnavailable, NoAlignModel, UnknownModel
from gpu_worker.models.capabilities import wanted_models
from gpu_worker.models.wheels import wheel_directory
from gpu_worker.models.whisper import HUB_MODELS, NEEDED_FILES, find_model
from gpu_worker.models.whisper_wheels import WHEEL_MODELS
from tests.inputs.hub_cache import put_into_hub_cache
from tests.inputs.wheel_files import write_model

FILES = tuple(name.replace("*", "txt") for name in NEEDED_FILES)


@pytest.fixture
def cpu(tmp_path: Path) -> ModelPlace:
    return ModelPlace("cpu", str(tmp_path / "models"))


def have(place: ModelPlace, *names: str) -> None:
    for name in names:
        put_into_hub_cache(find_model(name), Path(str(place.model_dir)), *FILES)


@pytest.mark.parametrize("language", [None, "en", "de"])
@pytest.mark.parametrize("task", ["transcribe", "translate"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_toy_is_never_wanted(device: str, language: str | None, task: str) -> None:
    names = wanted_models(device, language, task)
    assert len(set(names)) == len(names) and set(names) <= HUB_MODELS.keys()
    assert any(name.endswith(".en") for name in names) == (language == "en" and task != "translate")


def test_the_first_wish_is_by_the_hardware_and_the_task() -> None:
    assert wanted_models("cpu", None, "transcribe")[0] == "base"
    assert wanted_models("cuda", None, "transcribe")[0] == "large-v3-turbo"
    assert wanted_models("cuda", None, "translate")[0] == "large-v3"


def test_what_is_wanted_is_taken_without_a_word(no_hub: None, cpu: ModelPlace) -> None:
    have(cpu, "small", "base")
    found = choose_model(cpu, None, "transcribe")
    assert (found.model, found.warnings) == ("base", ())


@pytest.mark.slow
def test_without_it_the_best_on_this_machine_is_taken_and_said(
    no_hub: None, no_index: Path, cpu: ModelPlace
) -> None:
    have(cpu, "tiny", "small")
    found = choose_model(cpu, None, "transcribe")
    assert found.model == "small"
    (warning,) = found.warnings
    assert warning.code == "model_replaced"
    assert "small" in warning.message and "base could not be had" in warning.message
    assert "--model" in warning.message


def test_on_a_gpu_the_larger_one_of_the_cache_is_taken(no_hub: None, tmp_path: Path) -> None:
    place = ModelPlace("cuda", str(tmp_path))
    have(place, "tiny", "medium")
    assert choose_model(place, None, "transcribe").model == "medium"


@pytest.mark.slow
def test_a_wheel_is_better_than_nothing(
    no_hub: None, no_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WHEEL_MODELS, "tiny", write_model(no_index))
    found = choose_model(ModelPlace("cuda", str(tmp_path)), None, "transcribe")
    assert found.model == "tiny" and found.warnings[0].code == "model_replaced"


@pytest.mark.slow
def test_a_model_of_english_alone_is_taken_for_english_alone(
    no_hub: None, no_index: Path, cpu: ModelPlace
) -> None:
    have(cpu, "tiny.en")
    assert choose_model(cpu, "en", "transcribe").model == "tiny.en"
    for language, task in ((None, "transcribe"), ("de", "transcribe"), ("en", "translate")):
        with pytest.raises(ModelUnavailable, match="No model was chosen, and none can be had"):
            choose_model(cpu, language, task)


def test_an_align_model_that_can_be_had_is_not_missing(no_hub: None, cpu: ModelPlace) -> None:
    have_weights(cpu, "jonatasgrosman/wav2vec2-large-xlsr-53-polish")
    assert missing_aligner(cpu, "base", "pl", None) is None
    assert missing_aligner(cpu, "base", "pl", "pico-align") is None
    assert missing_aligner(cpu, "base", "pl", "fake") is None


def have_weights(place: ModelPlace, repository: str) -> None:
    source = find_model(repository)
    put_into_hub_cache(source, Path(str(place.model_dir)), "config.json", "model.safetensors")


@pytest.mark.parametrize(
    ("language", "chosen", "error"),
    [
        ("pl", None, ModelUnavailable),
        ("pl", "owner/name", ModelUnavailable),
        ("xx", None, NoAlignModel),
        ("pl", "no such model", UnknownModel),
        ("pl", "NO_SUCH_BUNDLE", UnknownModel),
    ],
)
def test_why_an_align_model_cannot_be_had(
    no_hub: None, cpu: ModelPlace, language: str, chosen: str | None, error: type[Exception]
) -> None:
    assert isinstance(missing_aligner(cpu, "base", language, chosen), error)


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))


def have_offline(place: ModelPlace) -> None:
    wheel_directory(OFFLINE_WHEEL, Path(str(place.model_dir))).mkdir(parents=True)


@pytest.mark.parametrize("token", [None, "hf_of_a_test"])
def test_without_a_token_or_a_hub_speakers_have_the_model_of_a_wheel_and_it_is_said(
    no_hub: None, no_index: Path, no_token: None, cpu: ModelPlace, token: str | None
) -> None:
    have_offline(cpu)
    found = choose_diarizer(replace(cpu, hub_token=token))
    assert found.model == OFFLINE_NAME
    (warning,) = found.warnings
    assert warning.code == "speakers_offline" and COMMUNITY in warning.message
    assert ("HF_TOKEN" in warning.message) is (token is None)


@pytest.mark.slow
def test_where_no_model_for_speakers_can_be_had_the_stage_says_why(
    no_hub: None, no_index: Path, no_token: None, cpu: ModelPlace
) -> None:
    assert choose_diarizer(cpu).model == COMMUNITY


def test_a_community_pipeline_that_was_fetched_is_taken_without_a_hub(
    no_hub: None, no_token: None, cpu: ModelPlace
) -> None:
    have_offline(cpu)
    put_into_hub_cache(find_model(COMMUNITY), Path(str(cpu.model_dir)), "config.yaml")
    assert choose_diarizer(cpu).model == COMMUNITY
