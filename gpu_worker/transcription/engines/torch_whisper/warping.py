"""Find the best path through a matrix: dynamic time warping, a row of the matrix at once. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
_BOTH, _NEXT_ROW, _NEXT_COLUMN = 0, 1, 2


def cheapest_path(costs: npt.NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Return the rows and the columns of the cheapest path from the first to the last corner.

    A step goes to the next row, to the next column, or to both (openai/whisper timing.py, `dtw`).
    """
    totals = _totals(costs.astype(np.float64))
    both, next_row, next_column = totals[:-1, :-1], totals[:-1, 1:], totals[1:, :-1]
    steps = np.full(costs.shape, _NEXT_COLUMN, np.uint8)
    steps[(next_row < both) & (next_row < next_column)] = _NEXT_ROW
    steps[(both < next_row) & (both < next_column)] = _BOTH
    steps[0, :], steps[:, 0] = _NEXT_COLUMN, _NEXT_ROW  # there is no other way
    taken, width = steps.tobytes(), costs.shape[1]  # of bytes, one number is read quickly
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    rows, columns = [row], [column]
    while row or column:
        step = taken[row * width + column]
        row -= step != _NEXT_COLUMN
        column -= step != _NEXT_ROW
        rows.append(row)
        columns.append(column)
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
