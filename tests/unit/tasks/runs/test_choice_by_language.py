"""A model that the operator has named for a language comes before the one for the hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.settings import Settings
from gpu_worker.models.whisper import AUTO
from gpu_worker.transcription.languages import LANGUAGES
from tasks.execution.workplace import Workplace
from tasks.runs.choice import model_by_language
from tasks.runs.options import JobOptions
from tasks.runs.records import Records
from tests.inputs.examples import a_plan
from tests.inputs.parakeet_model import write_parakeet
from tests.unit.tasks.runs.test_choice import (
    UNIT,
    choose,
    models,  # noqa: F401 - a fixture of every test: model base is here, and nothing else
)

V3 = "parakeet-tdt-0.6b-v3"


@pytest.fixture
def parakeet(tmp_path: Path) -> str:
    return str(write_parakeet(tmp_path / "parakeet"))


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, parakeet: str) -> Settings:
    table = {"en": parakeet, "de": V3}
    changes: dict[str, Any] = {"model_dir": tmp_path / "models", "model": AUTO}
    return settings.model_copy(update=changes | {"language_models": table})


def test_a_detected_language_chooses_its_model(place: Workplace, parakeet: str) -> None:
    choice = choose(place, model=AUTO, language=None, aligner="cross_attention")
    assert (choice.model, choice.warnings) == (parakeet, ())
    manifest = Records(place.store).resolved(UNIT.run)
    assert manifest.options.model == parakeet and manifest.options.beam_size == 1
    assert Records(place.store).language(manifest, a_plan()) == "en"


def test_a_given_language_chooses_its_model(place: Workplace, parakeet: str) -> None:
    choice = choose(place, model=AUTO, language="en", aligner="cross_attention")
    assert (choice.model, choice.warnings) == (parakeet, ())


def test_other_languages_are_left_to_the_model_for_the_hardware(place: Workplace) -> None:
    choice = choose(place, model=AUTO, language="es", aligner="cross_attention")
    assert (choice.model, choice.warnings) == ("base", ())


def test_a_model_that_cannot_be_had_is_replaced_and_the_transcript_says_so(
    place: Workplace,
) -> None:
    choice = choose(place, model=AUTO, language="de", aligner="cross_attention")
    assert choice.model == "base"
    assert [warning.code for warning in choice.warnings] == ["model_replaced"]
    assert V3 in choice.warnings[0].message


@pytest.mark.parametrize(
    "changes", [{"task": "translate"}, {"initial_prompt": "Hello."}, {"hotwords": "Anna"}]
)
def test_what_only_a_whisper_can_do_goes_to_one(changes: dict[str, str]) -> None:
    options = JobOptions.model_validate({"model": AUTO, **changes})
    assert model_by_language({"en": V3}, options, "en") is None
    assert model_by_language({"en": "large-v3"}, options, "en") == "large-v3"


def test_a_star_stands_for_all_other_languages_that_the_model_knows() -> None:
    table = {"en": "distil-large-v3", "*": V3}
    found = {code: model_by_language(table, JobOptions(), code) for code in LANGUAGES}
    assert found["en"] == "distil-large-v3"
    assert found["de"] == V3 and found["ja"] is None
    assert model_by_language(table, JobOptions(), None) is None


def test_a_job_of_several_languages_is_for_no_model_of_one() -> None:
    options = JobOptions.model_validate({"language": "en", "languages": "en,de"})
    for model in (V3, "base.en", "large-v3"):
        assert model_by_language({"en": model}, options, options.language) is None


def test_a_job_that_names_a_model_has_it() -> None:
    assert model_by_language({"en": V3}, JobOptions(model="base"), "en") is None


def test_models_of_the_table_may_be_used_and_it_is_for_auto_alone(parakeet: str) -> None:
    assert {V3, parakeet} <= Settings(language_models={"de": V3, "en": parakeet}).allowed
    with pytest.raises(ValidationError, match="language_models is for model=auto"):
        Settings(language_models={"de": V3}, model="base")
