"""The simulated fleet: it does every job once, counts what it costs, and ours never kills."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulate_fleet
from benchmarks.fleet.arrivals import PATTERNS, QUICK, Job, Pattern, jobs_of, steady
from benchmarks.fleet.comparison import at_equal_cost, frontier, measured, p95_at, play
from benchmarks.fleet.scalers import (
    BACKLOG,
    LIST,
    LIST_GRACE,
    LIST_TUNED,
    Behaviour,
    Facts,
    Keda,
    ListLength,
    Scaler,
)
from benchmarks.fleet.simulation import START_SECONDS
from gpu_worker.audio.chunking import ChunkingOptions, plan_chunks

SPEED = 8.0
SMALL = Pattern("small", "8 GPUs' work, an hour", 40, steady(8, 1))


@pytest.mark.parametrize("pattern", QUICK, ids=lambda one: one.name)
@pytest.mark.parametrize(
    "scaler", [BACKLOG, LIST, LIST_GRACE, LIST_TUNED], ids=lambda one: one.name
)
def test_every_job_is_done_and_paid_for(pattern: Pattern, scaler: Scaler) -> None:
    jobs = jobs_of(pattern, 0, SPEED)
    outcome = play(jobs, scaler, scaler.default, pattern.maximum, 0)
    work = sum(sum(job.chunk_seconds) for job in jobs) / 3600
    assert len(outcome.waits) == len(jobs)
    assert outcome.waits.min() > -1e-6
    assert outcome.gpu_hours > work + outcome.redone_hours
    assert 1 <= outcome.most <= pattern.maximum
    times, workers, busy, left = outcome.timeline.T
    assert (np.diff(times) == 15.0).all()
    assert (busy <= workers).all()
    assert workers[-1] == 0 and left[-1] == pytest.approx(0, abs=1e-6)


def test_the_same_seed_plays_the_same() -> None:
    first, again = (jobs_of(SMALL, 3, SPEED) for _ in range(2))
    assert first == again != jobs_of(SMALL, 4, SPEED)
    outcomes = [play(first, BACKLOG, 90.0, 40, 3) for _ in range(2)]
    assert outcomes[0].gpu_hours == outcomes[1].gpu_hours
    assert (outcomes[0].waits == outcomes[1].waits).all()


@pytest.mark.parametrize("seconds", [60, 300, 301, 1700, 5000, 36_000])
def test_files_are_cut_as_the_planner_cuts_them(seconds: int) -> None:
    silence = np.broadcast_to(np.zeros(1, dtype=np.int16), (seconds * 16_000,))
    chunks = plan_chunks(silence, ChunkingOptions(even_chunks=()))
    assert len(chunks) == -(-seconds // 300)


def test_a_fleet_from_nothing_waits_for_its_first_worker() -> None:
    job = Job(10.0, 300.0, (30.0,))
    outcome = play((job,), BACKLOG, 90.0, 4, 0)
    (wait,) = outcome.waits
    assert START_SECONDS[0] < wait < 15.0 + 180.0
    assert outcome.most == 1


def test_ours_kills_no_busy_worker_and_the_usual_grace_does() -> None:
    """300 s of audio take longer than a pod is given by default."""
    jobs = jobs_of(SMALL, 0, SPEED)
    ours = play(jobs, BACKLOG, 90.0, SMALL.maximum, 0)
    usual = play(jobs, LIST, 5.0, SMALL.maximum, 0)
    patient = play(jobs, LIST_GRACE, 5.0, SMALL.maximum, 0)
    assert (ours.killed, patient.killed) == (0, 0)
    assert usual.killed > 0 and usual.redone_hours > 0


def test_for_the_same_money_ours_waits_less_than_the_length_of_a_list() -> None:
    """A small play; benchmarks/simulate_fleet.py has the large ones."""
    plays = [jobs_of(SMALL, seed, 40.0) for seed in range(3)]
    ours = measured(plays, BACKLOG, BACKLOG.default, SMALL.maximum)
    rival = [measured(plays, LIST, value, SMALL.maximum) for value in (5.0, 10.0, 20.0, 50.0)]
    found = at_equal_cost(ours, rival)
    assert found.rival is LIST
    assert found.ratio == ours.wait_p95 / p95_at(rival, ours.gpu_hours) < 0.9


def test_equal_cost_lies_between_the_points_that_nothing_beats() -> None:
    plays = [jobs_of(SMALL, 0, SPEED)]
    points = [measured(plays, LIST, value, SMALL.maximum) for value in (2.0, 10.0, 50.0)]
    best = frontier(points)
    assert [one.gpu_hours for one in best] == sorted(one.gpu_hours for one in best)
    waits = [one.wait_p95 for one in best]
    assert waits == sorted(waits, reverse=True) and len(waits) > 1
    between = p95_at(points, (best[0].gpu_hours + best[1].gpu_hours) / 2)
    assert waits[1] < between < waits[0]
    assert p95_at(points, 1.0) == pytest.approx(waits[0])
    assert p95_at(points, 1e9) == pytest.approx(waits[-1])


def facts(now: float, waiting: int, in_flight: int = 0) -> Facts:
    return Facts(now, waiting, in_flight, 300.0 * (waiting + in_flight))


def test_the_horizontal_autoscaler_goes_up_in_steps_and_waits_before_it_goes_down() -> None:
    keda = Keda(ListLength(1.0), 1000, Behaviour())
    assert keda.replicas(facts(0.0, 100), 0) == 1  # KEDA's part
    assert [keda.replicas(facts(15.0, 100), now) for now in (1, 5, 40, 80)] == [5, 10, 80, 100]
    assert keda.replicas(facts(30.0, 92), 100) == 100  # less than a tenth
    assert keda.replicas(facts(45.0, 3), 100) == 100
    assert keda.replicas(facts(330.0, 3), 100) == 100
    assert keda.replicas(facts(360.0, 3), 100) == 3


def test_an_empty_list_ends_workers_that_work() -> None:
    keda = Keda(ListLength(5.0), 10, Behaviour())
    assert keda.replicas(facts(0.0, 20), 4) == 4
    assert keda.replicas(facts(300.0, 0, in_flight=4), 4) == 4
    assert keda.replicas(facts(330.0, 0, in_flight=4), 4) == 0


def test_every_pattern_has_jobs_and_the_long_ones_are_among_them() -> None:
    jobs = jobs_of(PATTERNS[0], 0, SPEED)
    counts = {len(job.chunk_seconds) for job in jobs}
    assert min(counts) == 1 and max(counts) > 100
    spent = sum(sum(job.chunk_seconds) for job in jobs) / 3600
    assert spent == pytest.approx(20 * 4, rel=0.25)
    assert len({pattern.name for pattern in PATTERNS}) == len(PATTERNS) >= 5


@pytest.mark.slow
def test_the_command_prints_both_tables_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--quick", "--patterns", "at-once", "--sweep", "--plots", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["simulate_fleet", *options])
    assert simulate_fleet.main() == 0
    printed = capsys.readouterr().out
    assert "At equal cost" in printed and "busy workers that ours killed: 0" in printed
    assert printed.count("list, tuned") >= len(LIST_TUNED.values)
    pictures = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(pictures) == {"at-once.png", "cost.png"}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
