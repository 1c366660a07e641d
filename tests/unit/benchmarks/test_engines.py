"""Pure parts of the comparison of engines."""

from __future__ import annotations

import pytest

from benchmarks.engines.parts import summary
from benchmarks.engines.shapes import SHAPES
from benchmarks.engines.transformers_equality import first_difference

pytestmark = pytest.mark.slow  # it imports torch


def test_the_first_difference_of_two_texts_is_found() -> None:
    assert first_difference([1, 2, 3], [1, 5, 3]) == 1
    assert first_difference([1, 2], [1, 2, 3]) == 2
    assert first_difference([], [4]) == 0


@pytest.mark.parametrize(
    ("name", "millions"),
    [("tiny", 39), ("base", 74), ("small", 244), ("medium", 769), ("large-v3", 1550),
     ("large-v3-turbo", 809), ("distil-large-v3", 756)],
)  # fmt: skip
def test_shapes_have_as_many_parameters_as_the_published_models(name: str, millions: int) -> None:
    assert SHAPES[name].parameters / 1e6 == pytest.approx(millions, rel=0.07)


def test_ratios_are_those_within_a_round() -> None:
    peer, other, ours = "faster-whisper int8", "faster-whisper float32", "torch default"
    rounds = [
        {(peer, "all"): 2.0, (other, "all"): 4.0, (ours, "all"): 1.0},
        {(peer, "all"): 20.0, (other, "all"): 4.0, (ours, "all"): 10.0},
        {(peer, "all"): 4.0, (other, "all"): 4.0, (ours, "all"): 2.0},
    ]
    found = summary(rounds, windows=2)
    assert found[ours]["all"] == 1.0
    assert found[ours]["÷ faster-whisper int8"] == {"all": 0.5}
    assert found[ours]["÷ faster-whisper float32"] == {"all": 0.5}
