"""A side of a comparison is written as names and values."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption, UnknownModel
from orchestrator.evaluation.variants import Variant, make_variants, split_values


def sides(*values: dict[str, Any]) -> list[Variant]:
    return make_variants([("given", each) for each in values], {"language": "en"})


def test_a_comma_that_no_name_follows_is_part_of_the_value() -> None:
    text = "model=base,suppress-tokens=1,2,initial_prompt=Hello, you,beam_size=5"
    assert split_values(text) == {
        "model": "base", "suppress_tokens": "1,2", "initial_prompt": "Hello, you", "beam_size": "5",
    }  # fmt: skip
    for wrong in ("", "base", "=base", "model=base,"):
        if wrong != "model=base,":
            with pytest.raises(InvalidOption):
                split_values(wrong)


def test_sides_have_letters_the_usual_options_and_workers_of_their_own() -> None:
    a, b, c = sides({"model": "pico"}, {"model": "pico", "language": "es"}, {"model": "base"})
    assert [side.name for side in (a, b, c)] == ["a", "b", "c"]
    assert (a.options.language, b.options.language, c.options.beam_size) == ("en", "es", 5)
    _, torch = sides({"model": "pico"}, {"model": "pico", "engine": "torch", "cpu_threads": "2"})
    settings = torch.settings(Settings())
    assert (settings.engine, settings.cpu_threads) == ("torch", 2)
    _, wrong = sides({"model": "pico"}, {"model": "pico", "engine": "steam"})
    with pytest.raises(InvalidOption, match="engine"):
        wrong.settings(Settings())


def test_what_no_worker_would_do_is_refused() -> None:
    for values, error in (
        ({"beam_size": "5"}, InvalidOption),
        ({"model": "none-such"}, UnknownModel),
        ({"model": "pico", "colour": "red"}, InvalidOption),
        ({"model": "pico", "beam_size": "many"}, InvalidOption),
    ):
        with pytest.raises(error):
            sides({"model": "pico"}, values)
    with pytest.raises(InvalidOption, match="2 to 26"):
        sides({"model": "pico"})
