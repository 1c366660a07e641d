"""Find the best path through a matrix: dynamic time warping, a row of the matrix at once. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def cheapest_path(costs: npt.NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Return the rows and the columns of the cheapest path from the first to the last corner.

    A step goes to the next row, to the next column, or to both (openai/whisper timing.py, `dtw`).
    """
    totals = _totals(costs.astype(np.float64))
    row, column = costs.shape
    rows: list[int] = []
    columns: list[int] = []
    while row > 0 and column > 0:
        rows.append(row - 1)
        columns.append(column - 1)
        both = totals[row - 1, column - 1]
        next_row, next_column = totals[row - 1, column], totals[row, column - 1]
        if both < next_row and both < next_column:
            row, column = row - 1, column - 1
        elif next_row < both and next_row < next_column:
            row -= 1
        else:
            column -= 1
    # What is left lies along the first row or the first column.
    rows += [0] * column + list(range(row - 1, -1, -1))
    columns += list(range(column - 1, -1, -1)) + [0] * row
    return np.array(rows[::-1]), np.array(columns[::-1])


def _totals(costs: Floats) -> Floats:
    """Return what the cheapest path to each cell costs, with an edge of infinity before it.

    Within a row, total[j] = cost[j] + min(above[j], total[j - 1]), where above[j] is the cheaper
    way from the row before. With the row's running sum S that is a running minimum:
    total[j] - S[j] = min(above[j] - S[j - 1], total[j - 1] - S[j - 1]).
    """
    height, width = costs.shape
    totals = np.full((height + 1, width + 1), np.inf)
    totals[0, 0] = 0.0
    for row in range(height):
        sums = np.cumsum(costs[row])
        above = np.minimum(totals[row, :-1], totals[row, 1:])
        totals[row + 1, 1:] = sums + np.minimum.accumulate(above - (sums - costs[row]))
    return totals
