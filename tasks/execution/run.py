"""How every stage is run: look for the artifact, take the lease, work, commit, end.

A stage gives the key of its artifact and the function that computes it (`Work`). The rest is
the same for all stages and is here: to run a unit twice is harmless, a unit that kills its
worker is given up after a few attempts, and no error reaches the Celery chord.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import structlog
from redis.exceptions import RedisError

from gpu_worker.devices.card import CPU, used_card
from gpu_worker.errors import ChunkCrashed, DevicePoisoned
from tasks.artifacts import encode, exists
from tasks.execution.ending import begin, end_early
from tasks.execution.failing import settle
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.stages import Pool
from tasks.runs.units import Unit
from tasks.state.attempts import Deaths
from tasks.state.cancellations import Canceled
from tasks.state.receipts import Receipt
from tasks.state.unit_requests import Hold
from tasks.telemetry.counts import count_look
from tasks.usage.figures import Use

LOOK_SECONDS = 1.0  # between batches; before the commit it looks in any case
CRASHED_UNITS = 6  # of a run: the rest is given up without a try, since workers are all jobs'
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """The artifact key of one unit, and the function that computes its artifact."""

    key: str  # of the artifact
    compute: Callable[[Callable[[], None]], dict[str, Any] | bytes | None]
    """Takes a function that raises Canceled if the run is; returns None if inputs are missing."""
    audio_seconds: float = 0.0
    deadline_seconds: float = 0.0  # at least; the settings may grant more
    timed: bool = True  # put the receipt into the artifact
    on_commit: Callable[[Any], None] | None = None
    """Called with the data by the worker whose write won."""
    stored_beside: Callable[[], int] = int
    """Tells, once it has computed, how many bytes it has put into the store besides its artifact.
    """


def run_unit(task: Any, unit: Unit, describe: Callable[[Workplace, Unit], Work]) -> dict[str, Any]:
    """Do the unit unless it is done; return its receipt as JSON. Raises only Celery's own Retry."""
    with begin(task, unit) as (place, end):
        work: Work | None = None
        hold: Hold | None = None
        try:
            check_canceled(
                place, unit
            )  # first: `describe` reads records, and a deleted job has none
            work = describe(place, unit)
            receipt, hold = _done(place, unit, work, task.request)
        except Canceled:
            receipt = Receipt("canceled")
        except Exception as error:
            receipt = settle(task, place, unit, error, work.key if work else None)
        receipt = end(receipt, hold)
    end_early(task, unit, receipt)
    return receipt.to_json()


def _done(place: Workplace, unit: Unit, work: Work, request: Any) -> tuple[Receipt, Hold | None]:
    """Find, lease, count the attempt, compute, commit: each step may end the unit.

    Returns also what the unit still holds: the end gives it back, in the request that records it.
    """
    if _found(place, unit, work):
        return Receipt("cached", audio_seconds=work.audio_seconds), None
    owner = f"{place.worker}:{uuid4().hex}"
    deaths = place.unit_requests.begin(unit, work.key, owner, request.id)
    if deaths is None:
        return Receipt("elsewhere"), None
    with (
        _leased(place, work, owner),
        place.watchdog.watch(work.key, owner, _deadline(place, work), unit),
        _attempt(place, unit, deaths) as token,
    ):
        receipt = _computed(place, unit, work, request.retries + deaths.of_unit)
    return receipt, Hold(work.key, owner, token)


def _found(place: Workplace, unit: Unit, work: Work) -> bool:
    found = exists(place.store, work.key)
    count_look(unit, found)
    return found


@contextmanager
def _leased(place: Workplace, work: Work, owner: str) -> Iterator[None]:
    """Release the artifact's lease if the block raises."""
    try:
        yield
    except BaseException:
        with suppress(RedisError):  # it expires by itself, and the artifact may be written
            place.leases.release(work.key, owner)
        raise


@contextmanager
def _attempt(place: Workplace, unit: Unit, deaths: Deaths) -> Iterator[str]:
    """Count a try while the block runs, so that only deaths of the process stay counted.

    Yields the try's token. A unit that was running when a process died runs alone in this one.
    Raises ChunkCrashed after `max_attempts` deaths, or if CRASHED_UNITS of the run were given up
    for that reason.
    """
    _check_deaths(place, unit, deaths)
    with _turn(place, alone=deaths.of_unit > 0):
        token = place.attempts.begin(unit)
        try:
            yield token
        except DevicePoisoned:
            raise  # this process will end because of it, which counts
        except BaseException:
            place.attempts.survived(token)
            raise
        place.attempts.owe(token)


@contextmanager
def _turn(place: Workplace, *, alone: bool) -> Iterator[None]:
    """Wait for the unit's turn, at no cost to its deadline, and keep it for the block."""
    with ExitStack() as turn:
        with place.watchdog.waiting():
            turn.enter_context(place.isolation.held(alone=alone))
        yield


def _check_deaths(place: Workplace, unit: Unit, deaths: Deaths) -> None:
    limit = place.settings.max_attempts
    if deaths.of_unit >= limit:
        place.attempts.crash(unit)
        raise ChunkCrashed(f"The worker died {limit} times while it worked on this.")
    if deaths.units_of_run >= CRASHED_UNITS:
        raise ChunkCrashed(
            f"It was not tried: {deaths.units_of_run} other parts of this job killed their worker."
        )


def _computed(place: Workplace, unit: Unit, work: Work, retries: int) -> Receipt:
    started = time.perf_counter()
    log.info("unit_started", artifact=work.key)
    with place.meter.measured() as share:
        data = work.compute(_Looks(place, unit))
    place.fitness.succeeded()
    if data is None:
        return Receipt("incomplete")
    is_on_card = unit.stage.pool is Pool.GPU
    use = Use(
        device=used_card(place.settings.device) if is_on_card else CPU,
        device_seconds=round(share.seconds, 4),
        joules=None if share.joules is None or not is_on_card else round(share.joules, 3),
        retries=retries,
        stored_bytes=len(data if isinstance(data, bytes) else encode(data)) + work.stored_beside(),
    )
    receipt = Receipt(
        "computed",
        seconds=round(time.perf_counter() - started, 4),
        audio_seconds=work.audio_seconds,
        worker=place.worker,
        finished_at=time.time(),
        detail={"unit": unit.name},
        use=use.to_json(),
    )
    check_canceled(place, unit)
    if not place.store.put(work.key, _body(place, work, data, receipt)):
        return replace(receipt, outcome="cached")  # another worker was first
    if work.on_commit is not None:
        work.on_commit(data)
    return receipt


def _body(place: Workplace, work: Work, data: dict[str, Any] | bytes, receipt: Receipt) -> bytes:
    """Return the artifact's bytes with its receipt inside; write that of bytes beside them."""
    if isinstance(data, bytes):
        place.store.put(keys.receipt(work.key), encode(receipt.to_json()))
        return data
    return encode(data | {"receipt": receipt.to_json()} if work.timed else data)


def check_canceled(place: Workplace, unit: Unit) -> None:
    """Raise Canceled if the run is. Where Redis cannot say so, it is not."""
    with suppress(RedisError):
        if place.cancellations.is_canceled(unit.run):
            raise Canceled


class _Looks:
    """Looks whether the run is canceled, not more often than each LOOK_SECONDS."""

    def __init__(self, place: Workplace, unit: Unit) -> None:
        self._place, self._unit = place, unit
        self._next = time.monotonic() + LOOK_SECONDS

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            check_canceled(self._place, self._unit)
            self._next = time.monotonic() + LOOK_SECONDS


def _deadline(place: Workplace, work: Work) -> float:
    values = place.settings
    by_audio = work.audio_seconds * values.deadline_factor
    return max(values.deadline_floor_seconds, work.deadline_seconds, by_audio)
