"""Pictures of late jobs: their share, and what jobs without a `ready_by` wait, by cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks.fleet.deadlines import DEFAULT_DRAIN, Late

_STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
_LEAST_WAIT = 5.0  # seconds; shorter waits are drawn there


def draw_late(
    path: Path,
    sweeps: Mapping[str, tuple[Sequence[Late], Sequence[Late]]],
    work: Mapping[str, float],
) -> None:
    """A column for each pattern: late jobs above, the others' p95 wait below, both by cost."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.0 * len(sweeps) + 0.6, 5.6), layout="constrained")
        grid = figure.subplots(2, len(sweeps), squeeze=False, sharex="col", sharey="row")
        for column, (name, both) in enumerate(sweeps.items()):
            top, bottom = grid[0][column], grid[1][column]
            for points, colour, label in zip(
                both, ("#c8553d", "#0b6e4f"), ("lanes alone", "with ready_by"), strict=True
            ):
                costs = [point.gpu_hours / work[name] for point in points]
                _line(top, costs, [100 * point.late for point in points], points, colour, label)
                waits = [max(_LEAST_WAIT, point.rest_p95) for point in points]
                _line(bottom, costs, waits, points, colour, label)
            top.set_title(name)
            bottom.set_yscale("log")
            bottom.yaxis.set_major_formatter(ScalarFormatter())
            bottom.yaxis.set_minor_formatter(NullFormatter())
            bottom.set_xlabel("cost ÷ bare work")
        highest = max(point.late for both in sweeps.values() for points in both for point in points)
        grid[0][0].set_ylim(-1, 105 * highest + 1)
        grid[0][0].set_ylabel("late, % of jobs with ready_by")
        grid[1][0].set_ylabel("p95 wait of the others, s")
        lines, names = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(path, dpi=100)


def _line(
    axes: Axes,
    costs: Sequence[float],
    values: Sequence[float],
    points: Sequence[Late],
    colour: str,
    label: str,
) -> None:
    """Draw the settings in their order, with a ring round the default."""
    axes.plot(costs, values, "o-", ms=3.5, lw=1.6, color=colour, label=label)
    for cost, value, point in zip(costs, values, points, strict=True):
        if point.drain == DEFAULT_DRAIN:
            axes.plot([cost], [value], "o", ms=9, mfc="none", color="black")
