"""Units share a device, and what all of them used is what the device did."""

from __future__ import annotations

import pytest

from gpu_worker.devices.metering import Meter


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
