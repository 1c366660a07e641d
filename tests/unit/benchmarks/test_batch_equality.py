"""What is equal, alone and in a batch, is counted; batches are full and have each window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.on_gpu.equality import Heard, batches, compared
from gpu_worker.transcript import Word

ALONE = Heard((1, 2), "good day", (-0.5, 0.1), (Word("good", 0.0, 0.5, 0.9),))


@pytest.mark.parametrize("count", [1, 3, 16, 17])
@pytest.mark.parametrize("size", [2, 4, 16])
def test_every_batch_is_full_and_every_window_is_in_one(count: int, size: int) -> None:
    found = batches(count, size)
    assert {len(batch) for batch in found} == {size}
    assert {index for batch in found for index in batch} == set(range(count))


def test_what_differs_in_the_last_bit_is_not_equal() -> None:
    near = replace(ALONE, probabilities=(-0.5, 0.1 + 1e-16 * 2))
    later = replace(ALONE, words=(replace(ALONE.words[0], end=0.52),))
    other = replace(ALONE, tokens=(1, 3), text="good way")
    found = compared(4, [(ALONE, ALONE), (ALONE, near), (ALONE, later), (ALONE, other)])
    assert (found.size, found.windows) == (4, 4)
    assert (found.equal_tokens, found.equal_text) == (3, 3)
    assert (found.equal_probabilities, found.equal_word_times) == (3, 3)
    assert found.equal_word_scores == 4
    assert 0 < found.largest_probability_difference < 1e-15
    assert found.largest_time_difference == pytest.approx(0.02)
