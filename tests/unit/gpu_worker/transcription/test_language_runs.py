"""The languages of snippets are decided together, so that one wrong snippet changes none."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.transcription.language_runs import (
    LanguageChoice,
    borders,
    restricted,
    spoken_languages,
)

CHOICE = LanguageChoice(("de", "en", "es"))


def heard(language: str, chance: float = 0.97) -> dict[str, float]:
    rest = (1 - chance) / 3
    return {"de": rest, "en": rest, "es": rest, "fr": rest} | {language: chance}


def test_each_language_that_is_spoken_for_some_seconds_is_found() -> None:
    said = ["en"] * 4 + ["de"] * 3 + ["es"] + ["de"] * 2
    assert spoken_languages([heard(code) for code in said], [3.0] * 10, CHOICE) == said


def test_one_snippet_that_is_not_sure_follows_its_neighbours() -> None:
    snippets = [heard("en"), heard("en"), heard("es", 0.6), heard("en"), heard("en")]
    assert spoken_languages(snippets, [4.0] * 5, CHOICE) == ["en"] * 5


def test_a_short_snippet_follows_its_neighbours_however_sure_it_is() -> None:
    snippets = [heard("en"), heard("es", 0.99), heard("en")]
    assert spoken_languages(snippets, [4.0, 0.4, 4.0], CHOICE) == ["en"] * 3
    assert spoken_languages(snippets, [4.0, 4.0, 4.0], CHOICE) == ["en", "es", "en"]


def test_snippets_that_say_nothing_follow_those_that_do() -> None:
    blank = dict.fromkeys(CHOICE.allowed, 1 / 3)
    snippets = [blank, blank, heard("de"), blank]
    assert spoken_languages(snippets, [2.0] * 4, CHOICE) == ["de"] * 4


def test_in_doubt_the_file_begins_with_the_language_that_the_job_names() -> None:
    blank = dict.fromkeys(CHOICE.allowed, 1 / 3)
    assert spoken_languages([blank, blank], [2.0] * 2, LanguageChoice(CHOICE.allowed, "es")) == [
        "es",
        "es",
    ]


def test_a_language_that_is_not_allowed_counts_for_none() -> None:
    snippets = [{"fr": 0.9, "en": 0.08, "de": 0.02}, {"fr": 1.0}]
    assert spoken_languages(snippets, [4.0, 4.0], LanguageChoice(("de", "en"))) == ["en", "en"]


@pytest.mark.parametrize("seed", range(5))
def test_single_wrong_snippets_change_no_long_stretch(seed: int) -> None:
    chance = np.random.default_rng(seed)
    said = [code for code in ("en", "de", "es", "en") for _ in range(10)]
    snippets = []
    for index, code in enumerate(said):
        others = [other for other in CHOICE.allowed if other != code]
        told = str(chance.choice(others)) if index % 5 == 2 else code
        snippets.append(heard(told, float(chance.uniform(0.6, 0.8))))
    found = spoken_languages(snippets, [3.0] * len(said), CHOICE)
    assert found == said
    assert borders(found) == [10, 20, 30]


def test_chances_are_of_the_allowed_languages_alone() -> None:
    assert restricted({"en": 0.2, "de": 0.2, "fr": 0.6}, ("de", "en")) == {"de": 0.5, "en": 0.5}
    assert restricted({}, ("de", "en")) == {"de": 0.5, "en": 0.5}


def test_without_snippets_there_are_no_languages() -> None:
    assert spoken_languages([], [], CHOICE) == []


def test_a_choice_of_any_language_is_of_those_that_the_model_knows() -> None:
    assert LanguageChoice(()).among({"es", "en"}).allowed == ("en", "es")
    assert CHOICE.among({"en"}) == CHOICE
