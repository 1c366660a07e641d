"""The path through a matrix is the one that openai/whisper's two loops find."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from gpu_worker.transcription.engines.torch_whisper.warping import cheapest_path


def by_two_loops(costs: npt.NDArray[np.float64]) -> tuple[list[int], list[int]]:
    height, width = costs.shape
    total = np.full((height + 1, width + 1), np.inf)
    total[0, 0] = 0
    came = np.zeros((height + 1, width + 1), int)
    for i in range(1, height + 1):
        for j in range(1, width + 1):
            ways = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            if ways[0] < ways[1] and ways[0] < ways[2]:
                came[i, j] = 0
            elif ways[1] < ways[0] and ways[1] < ways[2]:
                came[i, j] = 1
            else:
                came[i, j] = 2
            total[i, j] = costs[i - 1, j - 1] + ways[came[i, j]]
    came[0, :], came[:, 0] = 2, 1
    path, i, j = [], height, width
    while i > 0 or j > 0:
        path.append((max(i - 1, 0), max(j - 1, 0)))
        i, j = i - (came[i, j] in (0, 1)), j - (came[i, j] in (0, 2))
    rows, columns = zip(*path[::-1], strict=True)
    return list(rows), list(columns)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 40), (40, 5), (30, 200)], ids=str
)
def test_a_path_is_that_of_two_loops(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(4).standard_normal(shape)
    rows, columns = cheapest_path(costs)
    assert (rows.tolist(), columns.tolist()) == by_two_loops(costs)


def test_a_path_goes_from_corner_to_corner_without_a_gap() -> None:
    costs = np.random.default_rng(5).standard_normal((50, 1500)).astype(np.float32)
    rows, columns = cheapest_path(costs)
    assert (rows[0], columns[0], rows[-1], columns[-1]) == (0, 0, 49, 1499)
    assert set(np.diff(rows)) <= {0, 1} and set(np.diff(columns)) <= {0, 1}
