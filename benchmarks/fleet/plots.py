"""Pictures of a simulated fleet: workers and backlog over time, and cost against waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks.fleet.arrivals import HOUR, Pattern
from benchmarks.fleet.comparison import Point, frontier
from benchmarks.fleet.simulation import Outcome

_COLOURS = ("#0b6e4f", "#c8553d", "#e0a458", "#6b7a8f")
_LINES = ("o-", "s-", "o:", "o-")  # what lies upon another shows
_COLUMNS = 360  # of a timeline
_STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}


def draw_timelines(path: Path, pattern: Pattern, outcomes: Mapping[str, Outcome]) -> None:
    """A column for each scaler: its workers, the busy ones among them, and what is to be done."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 5), layout="constrained")
        figure.suptitle(f"{pattern.name}: {pattern.says}")
        grid = figure.subplots(
            2, len(outcomes), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2)
        )
        longest = max(outcome.timeline[-1, 0] for outcome in outcomes.values())
        scale, unit = (60.0, "minutes") if longest < 2 * HOUR else (HOUR, "hours")
        for column, (name, outcome) in enumerate(outcomes.items()):
            times, workers, busy, work = _averaged(outcome.timeline).T
            times = times / scale
            top, bottom = grid[0][column], grid[1][column]
            p95 = np.percentile(outcome.waits, 95)
            top.set_title(f"{name}\n{outcome.gpu_hours:.0f} GPU-hours, p95 wait {p95:.0f} s")
            top.fill_between(
                times,
                workers,
                step="post",
                color=_COLOURS[column],
                alpha=0.35,
                lw=0,
                label="workers",
            )
            top.step(times, busy, where="post", color="black", lw=0.7, label="busy")
            bottom.fill_between(times, work, step="post", color=_COLOURS[column], lw=0)
            bottom.set_xlabel(unit)
            top.legend(loc="upper right", frameon=False)
        grid[0][0].set_ylabel("workers")
        grid[1][0].set_ylabel("backlog, GPU-hours")
        figure.savefig(path, dpi=110)


def _averaged(rows: np.ndarray) -> np.ndarray:
    """Means of some neighbouring rows, where there are more than a picture shows."""
    each = -(-len(rows) // _COLUMNS)
    whole = len(rows) // each * each
    return rows[:whole].reshape(-1, each, rows.shape[1]).mean(axis=1)


def draw_curves(
    path: Path, sweeps: Mapping[str, Sequence[Sequence[Point]]], work: Mapping[str, float]
) -> None:
    """For each pattern the p95 wait against the cost, a line a scaler."""
    with mpl.rc_context(_STYLE):
        rows = -(-len(sweeps) // 3)
        figure = Figure(figsize=(11, 0.4 + 3.4 * rows), layout="constrained")
        grid = figure.subplots(rows, min(3, len(sweeps)), squeeze=False).ravel()
        for axes, (name, sweep) in zip(grid, sweeps.items(), strict=False):
            _draw_curve(axes, sweep, work[name])
            axes.set_title(name)
        for axes in grid[len(sweeps) :]:
            axes.axis("off")
        lines, names = grid[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=5, frameon=False)
        figure.savefig(path, dpi=110)


def _draw_curve(axes: Axes, sweep: Sequence[Sequence[Point]], work: float) -> None:
    for colour, line, points in zip(_COLOURS, _LINES, sweep, strict=False):
        best = frontier(points)
        costs = [point.gpu_hours / work for point in best]
        axes.plot(
            costs,
            [point.wait_p95 for point in best],
            line,
            ms=3.5,
            lw=1.8,
            color=colour,
            label=points[0].scaler.name,
        )
    default = [point for point in sweep[0] if point.value == point.scaler.default]
    axes.plot(
        [point.gpu_hours / work for point in default],
        [point.wait_p95 for point in default],
        "o",
        ms=9,
        mfc="none",
        color="black",
        label="our default",
    )
    axes.set_yscale("log")
    axes.set_yticks([20, 50, 100, 200, 500, 1000, 2000, 5000])
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(20, 5000)
    axes.set_xlim(0.98, 3.0)
    axes.set_xlabel("cost ÷ bare work")
    axes.set_ylabel("p95 wait, s")
