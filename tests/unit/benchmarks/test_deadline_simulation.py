"""Simulated lanes with a `ready_by`: all is done once, and fewer are late for the same money."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulate_deadlines
from benchmarks.fleet.arrivals import HOUR, QUICK, Job, Pattern, jobs_of
from benchmarks.fleet.deadlines import Late, at_equal_cost, lateness, measured, play
from benchmarks.fleet.lanes import NEVER, Lanes, audio_of, drawn_deadlines

SPEED = 40.0
CALL, LECTURE = Job(0.0, 300.0, (7.5, 7.5)), Job(0.0, 300.0, (7.5,) * 12)


def order(ready_by: tuple[float, ...], jobs: tuple[Job, ...], *, heeds: bool = True) -> list[int]:
    """The jobs of the chunks, in the order in which one worker takes them at once."""
    lanes = Lanes(jobs, ready_by, heeds, SPEED, 10)
    for chunk in range(len(lanes.job_of)):
        lanes.append(chunk)
    return [lanes.job_of[lanes.popleft()] for _ in range(len(lanes))]


def test_lanes_are_taken_in_turn() -> None:
    assert order((NEVER,) * 2, (LECTURE, CALL))[:5] == [1, 0, 1, 0, 0]


def test_early_work_waits_for_what_is_not_early_in_the_bulk_lane() -> None:
    found = order((9 * HOUR, NEVER), (LECTURE, LECTURE))
    assert found[:12].count(0) <= 1
    assert order((9 * HOUR, NEVER), (LECTURE, LECTURE), heeds=False) == [0] * 12 + [1] * 12


def test_a_job_whose_slack_is_short_moves_up_once() -> None:
    lanes = Lanes((LECTURE, LECTURE), (2 * HOUR, 9 * HOUR), True, SPEED, 10)
    for chunk in range(24):
        lanes.append(chunk)
    assert (len(lanes.urgent), len(lanes.early)) == (0, 24)
    lanes.move_up(HOUR)
    assert lanes.moved_up == 0
    for _ in range(2):
        lanes.move_up(2 * HOUR - 900.0 - 60.0)
        assert (lanes.moved_up, len(lanes.urgent), len(lanes)) == (12, 12, 24)
    taken = [lanes.popleft() for _ in range(24)]
    assert sorted(taken) == list(range(24)) and not len(lanes)


@pytest.mark.parametrize("heeds", [False, True])
@pytest.mark.parametrize("pattern", QUICK, ids=lambda one: one.name)
def test_every_chunk_is_done_once(pattern: Pattern, heeds: bool) -> None:
    jobs = jobs_of(pattern, 0, SPEED)
    ready_by = drawn_deadlines(jobs, 0)
    outcome, lanes = play(
        jobs, ready_by, heeds=heeds, drain=60.0, maximum=pattern.maximum, speed=SPEED, seed=0
    )
    assert not len(lanes) and not any(lanes.left) and outcome.killed == 0
    assert sum(lanes.minutes.values()) == pytest.approx(0, abs=1e-3)
    assert outcome.waits.min() > -1e-6
    assert len(lateness(jobs, ready_by, outcome)) == np.sum(np.array(ready_by) < NEVER)


def test_two_thirds_have_a_ready_by_that_leaves_as_long_as_the_file_lasts() -> None:
    jobs = jobs_of(QUICK[0], 0, SPEED)
    ready_by = drawn_deadlines(jobs, 0)
    assert ready_by == drawn_deadlines(jobs, 0) != drawn_deadlines(jobs, 1)
    assert np.mean(np.array(ready_by) < NEVER) == pytest.approx(2 / 3, abs=0.05)
    for job, at in zip(jobs, ready_by, strict=True):
        assert at - job.submitted >= max(HOUR / 2, audio_of(job)) - 1e-6


def test_for_the_same_hours_fewer_jobs_are_late() -> None:
    """A small play; benchmarks/simulate_deadlines.py has the large ones."""
    plays = [jobs_of(QUICK[0], 0, SPEED)]
    lanes = [measured(plays, heeds=False, drain=9600.0, maximum=50, speed=SPEED)]
    ours = [
        measured(plays, heeds=True, drain=drain, maximum=50, speed=SPEED) for drain in (60.0, 600.0)
    ]
    (pair,) = at_equal_cost(lanes, ours)
    assert pair.lanes.late > 0.1 and pair.fewer >= 0.4
    assert pair.ours.gpu_hours <= 1.01 * pair.lanes.gpu_hours


def test_a_pair_has_the_fewest_late_jobs_that_the_same_hours_allow() -> None:
    def late(heeds: bool, hours: float, share: float) -> Late:
        return Late(heeds, 60.0, hours, share, 0.0, 0.0, 0.0, 0, 0)

    lanes = [late(False, 10.0, 0.5), late(False, 20.0, 0.0)]
    ours = [late(True, 30.0, 0.0), late(True, 10.05, 0.1), late(True, 9.0, 0.2)]
    (pair,) = at_equal_cost(lanes, ours)
    assert pair.ours.late == 0.1
    assert pair.fewer == pytest.approx(0.8)


@pytest.mark.slow
def test_the_command_prints_its_tables_draws_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "figures.json"
    options = ["--quick", "--patterns", "at-once", "--plots", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["simulate_deadlines", *options])
    assert simulate_deadlines.main() == 0
    assert "For the same hours" in capsys.readouterr().out
    assert (tmp_path / "deadlines.png").read_bytes().startswith(b"\x89PNG")
    assert out.stat().st_size > 0
