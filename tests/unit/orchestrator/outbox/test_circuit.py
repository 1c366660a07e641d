"""A receiver that fails always is tried some hundred times a day, however much waits for it."""

from __future__ import annotations

from orchestrator.outbox.circuit import (
    CLOSED,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OPEN_AFTER,
    PROBE_SECONDS,
    Circuit,
    begun,
    is_long_dead,
    told,
    wait_seconds,
)
from orchestrator.outbox.schedule import KEPT_SECONDS

DAY = 86_400.0


def failed(circuit: Circuit, times: int, now: float = 0.0) -> Circuit:
    for _ in range(times):
        circuit = told(begun(circuit, now), now, has_answered=False)
    return circuit


def test_a_receiver_that_fails_now_and_then_is_tried_at_once() -> None:
    circuit = failed(CLOSED, OPEN_AFTER - 1)
    assert wait_seconds(circuit, 0.0) == 0.0
    assert told(circuit, 0.0, has_answered=True) == CLOSED


def test_one_try_a_day_in_a_hundred_of_a_dead_receiver() -> None:
    circuit, now, tries = CLOSED, 0.0, 0
    while now < DAY:  # very many deliveries are due at each moment
        wait = wait_seconds(circuit, now)
        if wait:
            now += wait
            continue
        circuit = begun(circuit, now)
        tries += 1
        now += 10.0  # no answer within the limit
        circuit = told(circuit, now, has_answered=False)
    assert OPEN_AFTER < tries < 120


def test_the_pauses_grow_up_to_a_bound() -> None:
    waits = [wait_seconds(failed(CLOSED, OPEN_AFTER + more), 0.0) for more in range(8)]
    assert waits[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert waits[-1] == LONGEST_PAUSE
    assert wait_seconds(failed(CLOSED, 10_000), 0.0) == LONGEST_PAUSE


def test_one_delivery_probes_and_the_others_wait_until_it_is_told() -> None:
    circuit = failed(CLOSED, OPEN_AFTER)
    probing = begun(circuit, FIRST_PAUSE)
    assert wait_seconds(probing, FIRST_PAUSE) == PROBE_SECONDS
    assert told(probing, FIRST_PAUSE, has_answered=True) == CLOSED


def test_after_days_what_waits_is_looked_at() -> None:
    days = int(KEPT_SECONDS / LONGEST_PAUSE)
    assert not is_long_dead(failed(CLOSED, OPEN_AFTER + days))
    assert is_long_dead(failed(CLOSED, OPEN_AFTER + days + 1))


def test_what_was_under_way_when_it_opened_makes_the_pause_no_longer() -> None:
    circuit = failed(CLOSED, OPEN_AFTER)
    assert told(circuit, 5.0, has_answered=False) == circuit
    assert told(circuit, 5.0, has_answered=True) == CLOSED
