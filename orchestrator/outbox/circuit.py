"""Whether a receiver is tried at all: one that fails always is probed with growing pauses. Pure.

After some failures in a row the circuit of a receiver is open: all of its deliveries wait together,
without a try being counted, and one of them probes after each pause. An answer closes it, and then
what waits goes at once (the circuit breaker of Nygard's Release It!, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.outbox.schedule import KEPT_SECONDS

OPEN_AFTER = 10  # failures in a row
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 900.0  # seconds; doubled each time: about 100 probes a day
PROBE_SECONDS = 60.0  # a probe that tells nothing for so long is followed by another one


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known of a receiver. Times are seconds of one clock that never goes back."""

    failures: int = 0  # in a row
    until: float = 0.0  # no try before that
    is_probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether tries have to wait."""
        return self.failures >= OPEN_AFTER


CLOSED = Circuit()


def wait_seconds(circuit: Circuit, now: float) -> float:
    """Return how long a delivery has to wait; 0: it may be tried."""
    return max(0.0, circuit.until - now) if circuit.is_open else 0.0


def is_long_dead(circuit: Circuit) -> bool:
    """Return whether some of what waits may have waited for longer than deliveries are kept."""
    return circuit.failures - OPEN_AFTER > KEPT_SECONDS / LONGEST_PAUSE


def begun(circuit: Circuit, now: float) -> Circuit:
    """Return the circuit when a try begins: of an open one it is the probe, and others wait."""
    if not circuit.is_open:
        return circuit
    return replace(circuit, until=now + PROBE_SECONDS, is_probing=True)


def told(circuit: Circuit, now: float, *, has_answered: bool, factor: float = 1.0) -> Circuit:
    """Return the circuit after a try. A refusal is an answer, too; `factor` scales the pauses.

    What was under way when it opened, and fails later, makes the pause no longer.
    """
    if has_answered:
        return CLOSED
    if circuit.is_open and not circuit.is_probing:
        return circuit
    failures = circuit.failures + 1
    if failures < OPEN_AFTER:
        return replace(circuit, failures=failures)
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - OPEN_AFTER, 20))
    return Circuit(failures, now + pause * factor)
