"""Units share a device, and what all of them used is what the device did."""

from __future__ import annotations

import pytest

from gpu_worker.devices.metering import Meter, OwnPart


class Readings:
    """A clock and a counter of energy that stand until they are moved."""

    def __init__(self) -> None:
        self.now, self.joules = 100.0, 5000.0

    def pass_on(self, seconds: float, joules: float = 0.0) -> None:
        self.now += seconds
        self.joules += joules


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def meter(readings: Readings) -> Meter:
    return Meter(lambda: readings.joules, lambda: readings.now)


def test_a_unit_alone_has_all_of_the_time_and_the_energy(meter: Meter, readings: Readings) -> None:
    readings.pass_on(9, 900)
    with meter.measured() as share:
        readings.pass_on(2, 300)
    readings.pass_on(9, 900)
    assert (share.seconds, share.joules) == (2.0, 300.0)


def test_units_at_the_same_time_divide_what_is_used(meter: Meter, readings: Readings) -> None:
    with meter.measured() as first:
        readings.pass_on(1, 100)
        with meter.measured() as second:
            readings.pass_on(4, 800)
        readings.pass_on(1, 100)
    assert (first.seconds, first.joules) == (4.0, 600.0)
    assert (second.seconds, second.joules) == (2.0, 400.0)


def test_a_unit_that_fails_gives_its_place_back(meter: Meter, readings: Readings) -> None:
    with pytest.raises(ValueError), meter.measured():
        readings.pass_on(1)
        raise ValueError
    with meter.measured() as share:
        readings.pass_on(3)
    assert share.seconds == 3.0


def test_without_a_counter_no_energy_is_told(readings: Readings) -> None:
    with Meter(clock=lambda: readings.now).measured() as share:
        readings.pass_on(1)
    assert (share.seconds, share.joules) == (1.0, None)


def test_a_counter_that_begins_anew_takes_nothing_back(meter: Meter, readings: Readings) -> None:
    with meter.measured() as share:
        readings.pass_on(1, -5000)
    assert share.joules == 0.0


def test_workers_on_one_card_claim_together_what_it_used() -> None:
    """Each of them reads the counter of the whole card, as with time slicing."""
    joules, users = 5000.0, 1
    counters = [OwnPart(lambda: joules, lambda: users) for _ in range(2)]
    meters = [Meter(counter) for counter in counters]
    with meters[0].measured() as first:
        joules += 100
        with meters[0].measured() as alone:  # a reading of its own, before the other one begins
            pass
        users = 2
        with meters[1].measured() as second:
            joules += 300
    assert (first.joules, second.joules, alone.joules) == (250.0, 150.0, 0.0)


def test_workers_on_one_card_count_together_the_time_in_which_it_was_in_use() -> None:
    now, users = 100.0, 1
    clocks = [OwnPart(lambda: now, lambda: users) for _ in range(2)]
    meters = [Meter(clock=lambda clock=clock: clock() or 0.0) for clock in clocks]  # type: ignore[misc]
    with meters[0].measured() as first:
        now += 2
        with meters[0].measured():
            pass
        users = 2
        with meters[1].measured() as second:
            now += 6
    assert (first.seconds, second.seconds) == (5.0, 3.0)


def test_a_card_that_tells_nothing_for_a_while_is_asked_on() -> None:
    told: float | None = 10.0
    counter = OwnPart(lambda: told, lambda: 1)
    assert counter() == 0.0
    told = None
    assert counter() is None
    told = 50.0
    assert counter() == 0.0
    told = 60.0
    assert counter() == 10.0
