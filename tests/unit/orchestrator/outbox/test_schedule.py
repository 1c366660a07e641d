"""When something owed is tried again, row by row."""

from __future__ import annotations

from datetime import UTC, datetime

import httpcore
import pytest

from gpu_worker.errors import StoreRefused, StoreUnavailable
from orchestrator.outbox.outputs import OutputRefused
from orchestrator.outbox.schedule import (
    DELAYS,
    DONE,
    LONGEST_RETRY_AFTER,
    MAX_TRIES,
    Outcome,
    of_error,
    of_status,
    retry_after_seconds,
    verdict,
)

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
PASSING = Outcome(False, "busy", passing=True)


@pytest.mark.parametrize(
    ("status", "done", "passing"),
    [
        *((status, True, False) for status in (200, 201, 202, 204, 299)),
        *((status, False, False) for status in (301, 302, 307, 308)),  # never followed
        *((status, False, False) for status in (400, 401, 403, 404, 405, 410, 413, 422)),
        *((status, False, True) for status in (408, 425, 429)),  # "later"
        *((status, False, True) for status in (500, 502, 503, 504)),
        (100, False, False),
    ],
)
def test_a_status_is_success_final_or_passing(status: int, done: bool, passing: bool) -> None:
    outcome = of_status(status)
    assert (outcome.done, outcome.passing) == (done, passing)
    assert done or str(status) in str(outcome.reason)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OutputRefused("no bucket"), False),
        (StoreRefused("the cluster's own store"), True),
        (StoreUnavailable("busy"), True),
        (httpcore.ReadTimeout("slow"), True),
        (ValueError("a bug"), True),  # bounded by the tries
    ],
)
def test_only_a_permanent_error_is_final(error: Exception, passing: bool) -> None:
    assert of_error(error).passing is passing
    assert of_error(error).reason


def test_ten_tries_are_spread_over_sixteen_hours() -> None:
    delays = [verdict(PASSING, tries).delay_seconds for tries in range(1, MAX_TRIES)]
    assert delays == list(DELAYS) == sorted(DELAYS)
    assert MAX_TRIES == 10
    assert 15 * 3600 < sum(DELAYS) < 17 * 3600
    assert verdict(PASSING, MAX_TRIES).final


def test_success_and_refusal_end_it_at_any_try() -> None:
    assert verdict(DONE, 1).final
    assert verdict(of_status(404), 1).final
    assert not verdict(PASSING, 1).final


def test_a_receiver_may_ask_for_more_time_but_not_for_less() -> None:
    assert verdict(of_status(429, 90.0), 1).delay_seconds == 90.0
    assert verdict(of_status(503, 1.0), 2).delay_seconds == DELAYS[1]
    assert verdict(of_status(503, 90.0), 1, factor=0.0).delay_seconds == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b"0.5", 0.5),
        (b"-3", 0.0),
        (b"999999999", LONGEST_RETRY_AFTER),
        (b"inf", 0.0),
        (b"nan", 0.0),
        (b"soon", 0.0),
        (b"Fri, 02 Jan 2026 12:01:00 GMT", 60.0),
        (b"Fri, 02 Jan 2026 11:00:00 GMT", 0.0),
        (b"Fri, 02 Jan 2026 12:01:00 -0000", 0.0),  # without its zone
        (b"\xff", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value: bytes, seconds: float) -> None:
    assert retry_after_seconds([(b"Retry-After", value)], NOW) == seconds
    assert retry_after_seconds([(b"Server", b"x")], NOW) == 0.0
