"""A `ready_by` as urgency: early work waits in the bulk lane, late work goes before others."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_worker.pcm import SAMPLE_RATE, Span
from tasks.runs.deadline import (
    MARGIN_SECONDS,
    WaitingPlace,
    first_guess,
    may_move_up,
    place_of,
    slack_seconds,
)
from tasks.runs.manifest import Manifest, Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane

SUBMITTED = 1_700_000_000.0
HOUR = 3600.0
EARLY, HURRIED = WaitingPlace(Lane.BULK, is_early=True), WaitingPlace(Lane.INTERACTIVE)


def a_manifest(ready_in: float | None, lane: Lane | None = None) -> Manifest:
    fields: dict[str, Any] = {} if ready_in is None else {"ready_by": SUBMITTED + ready_in}
    return Manifest(
        tenant="acme",
        job="j",
        created_at=SUBMITTED,
        source=Source(name="a.wav"),
        options=JobOptions(lane=lane),
        **fields,
    )


def a_plan(seconds: float) -> Plan:
    return Plan(audio="a", seconds=seconds, chunks=(Span(0, int(seconds * SAMPLE_RATE)),))


def test_the_slack_is_what_the_work_and_the_margin_leave() -> None:
    assert slack_seconds(5000.0, 1000.0, 600.0) == 5000.0 - 1000.0 - 600.0 - MARGIN_SECONDS


def test_without_a_ready_by_the_length_decides() -> None:
    assert place_of(a_manifest(None), a_plan(60.0), SUBMITTED) == WaitingPlace(Lane.INTERACTIVE)
    assert place_of(a_manifest(None), a_plan(HOUR), SUBMITTED) == WaitingPlace(Lane.BULK)


@pytest.mark.parametrize("seconds", [60.0, HOUR])
def test_a_job_is_early_until_its_slack_is_short_and_then_goes_before_others(
    seconds: float,
) -> None:
    manifest, plan, work = a_manifest(5 * HOUR), a_plan(seconds), 0.5 * HOUR
    changes_at = SUBMITTED + 4.5 * HOUR - MARGIN_SECONDS
    assert place_of(manifest, plan, SUBMITTED, work) == EARLY
    assert place_of(manifest, plan, changes_at - 1, work) == EARLY
    assert place_of(manifest, plan, changes_at, work) == HURRIED
    assert place_of(manifest, plan, SUBMITTED + 5 * HOUR - 1, work) == HURRIED


def test_a_slow_cluster_moves_a_job_up_sooner() -> None:
    manifest, plan, now = a_manifest(5 * HOUR), a_plan(HOUR), SUBMITTED + HOUR
    assert place_of(manifest, plan, now, 0.1 * HOUR) == EARLY
    assert place_of(manifest, plan, now, 3.9 * HOUR) == HURRIED


def test_past_its_ready_by_a_job_is_like_any_other() -> None:
    after = SUBMITTED + HOUR
    assert place_of(a_manifest(HOUR), a_plan(HOUR), after) == WaitingPlace(Lane.BULK)
    assert place_of(a_manifest(HOUR), a_plan(60.0), after) == WaitingPlace(Lane.INTERACTIVE)


def test_a_near_ready_by_gives_no_long_file_the_interactive_lane() -> None:
    assert place_of(a_manifest(60.0), a_plan(HOUR), SUBMITTED) == WaitingPlace(Lane.BULK)
    near = SUBMITTED + HOUR - MARGIN_SECONDS
    assert place_of(a_manifest(HOUR - 1), a_plan(HOUR), near) == WaitingPlace(Lane.BULK)
    assert place_of(a_manifest(HOUR), a_plan(HOUR), near) == HURRIED
    assert may_move_up(SUBMITTED + HOUR, SUBMITTED, HOUR)
    assert not may_move_up(SUBMITTED + HOUR - 1, SUBMITTED, HOUR)


@pytest.mark.parametrize("lane", list(Lane))
def test_a_named_lane_holds(lane: Lane) -> None:
    for now in (SUBMITTED, SUBMITTED + 5 * HOUR - 1):
        assert place_of(a_manifest(5 * HOUR, lane), a_plan(HOUR), now) == WaitingPlace(lane)


def test_before_a_speed_is_measured_the_first_speeds_say_what_a_file_takes() -> None:
    assert first_guess(4000.0) == pytest.approx(4000 / 40 + 4000 / 100 + 4000 / 50)
