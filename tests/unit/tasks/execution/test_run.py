"""One unit of work: looked up, leased, counted, computed, committed; and every way it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery
from redis import Connection, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from gpu_worker.errors import (
    DeviceFault,
    ModelUnavailable,
    OutOfMemory,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
    UnreadableAudio,
)
from gpu_worker.models.faults import ModelUnusable
from tasks.artifacts import ArtifactStore
from tasks.execution import ending, failing
from tasks.execution.failing import SLOT_SECONDS, TRIES_IN_SLOT
from tasks.execution.fitness import EXIT_UNFIT, Fitness
from tasks.execution.run import CRASHED_UNITS, Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tasks.state.attempts import Attempts, Deaths
from tasks.state.cancellations import Cancellations
from tasks.state.receipts import Receipt
from tasks.state.speeds import SpeedName
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, a_unit, write_records

KEY = "artifact"
Compute = Callable[[Callable[[], None]], dict[str, Any] | None]
celery = Celery("execution")


@pytest.fixture(autouse=True)
def accepted(place: Workplace) -> None:
    """A unit of a job that has no manifest, since it is deleted, leaves nothing."""
    place.store.put(keys.manifest(TENANT, JOB), b"{}")


@celery.task(name="unit", bind=True, shared=False)
def unit_task(self: Any, unit: Unit, compute: Compute) -> Receipt:
    return Receipt.from_json(
        run_unit(self, unit, lambda place, unit: Work(KEY, compute, audio_seconds=10.0))
    )


def run(compute: Compute, unit: Unit | None = None, retries: int = 0) -> Receipt:
    receipt: Receipt = unit_task.apply((unit or a_unit(), compute), retries=retries).get()
    return receipt


def say_hello(check: Callable[[], None]) -> dict[str, Any]:
    return {"said": "hello"}


class Failing:
    """Raises each error in turn, then computes."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, check: Callable[[], None]) -> dict[str, Any]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return say_hello(check)


@pytest.fixture(autouse=True)
def _in_a_workplace(place: Workplace) -> None:
    """Every test here runs in one."""


def test_what_was_computed_is_the_artifact_with_its_receipt(place: Workplace) -> None:
    receipt = run(say_hello)
    assert receipt.outcome == "computed"
    assert (receipt.audio_seconds, receipt.worker) == (10.0, place.worker)
    written = json.loads(place.store.get(KEY))
    assert written["said"] == "hello"
    assert written["receipt"]["detail"] == {"unit": a_unit().name}
    assert place.ledger.read(a_run())[Stage.TRANSCRIBE, 0].outcome == "computed"


def test_the_artifact_s_receipt_says_what_was_used_and_redis_need_not_know(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.execution.run.used_card", lambda device: "NVIDIA H200")
    died(place, a_unit(), 1)
    assert run(Failing(StoreUnavailable())).outcome == "computed"
    receipt = json.loads(place.store.get(KEY))["receipt"]
    use = receipt["use"]
    assert 0 <= use.pop("device_seconds") <= receipt["seconds"] + 0.1
    assert use == {"device": "NVIDIA H200", "retries": 2, "stored_bytes": len('{"said":"hello"}')}
    assert place.ledger.read(a_run())[Stage.TRANSCRIBE, 0].use is None


def test_a_stage_of_cpu_workers_uses_no_card(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.execution.run.used_card", lambda device: "NVIDIA H200")
    run(say_hello, a_unit(Stage.DIARIZE))
    assert json.loads(place.store.get(KEY))["receipt"]["use"]["device"] == "cpu"


def test_nothing_is_held_or_counted_afterwards(place: Workplace) -> None:
    run(say_hello)
    assert place.leases.held([KEY]) == [False]
    assert place.attempts.deaths(a_unit()) == Deaths(0, 0)
    assert place.redis.keys("scriptorium:begun:*") == []


def test_a_unit_asks_redis_five_times(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    run(say_hello)  # the scripts are loaded
    place.store.delete(KEY)
    asked: list[str] = []
    send, own = Connection.send_packed_command, threading.get_ident()

    def noting(self: Connection, command: Any, *args: Any, **named: Any) -> None:
        if threading.get_ident() == own:  # the watchdog asks too, now and then
            asked.append(b"".join(command).decode())
        send(self, command, *args, **named)

    monkeypatch.setattr(Connection, "send_packed_command", noting)
    assert run(say_hello).outcome == "computed"
    # Canceled? Begin, count the try; canceled? End.
    assert len(asked) == 5


def test_a_look_at_the_flag_costs_nothing_a_moment_after_the_last_one(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    is_canceled = Cancellations.is_canceled

    def noting(flags: Cancellations, run: Any) -> bool:
        looks.append(run)
        return is_canceled(flags, run)

    monkeypatch.setattr(Cancellations, "is_canceled", noting)
    monkeypatch.setattr("tasks.execution.run.LOOK_SECONDS", 3600.0)

    def many_batches(check: Callable[[], None]) -> dict[str, Any]:
        for _ in range(50):
            check()
        return {}

    assert run(many_batches).outcome == "computed"
    assert len(looks) == 2  # at the start, and before the commit


def test_what_is_there_already_is_not_computed(place: Workplace) -> None:
    place.store.put(KEY, b"first")
    compute = Failing()
    assert run(compute).outcome == "cached"
    assert compute.calls == 0
    assert place.store.get(KEY) == b"first"


def test_of_two_writers_the_first_wins(place: Workplace) -> None:
    def overtaken(check: Callable[[], None]) -> dict[str, Any]:
        place.store.put(KEY, b"first")
        return {}

    assert run(overtaken).outcome == "cached"
    assert place.store.get(KEY) == b"first"


def test_what_another_worker_does_is_left_to_it(place: Workplace) -> None:
    place.leases.take(KEY, "somebody:1")
    compute = Failing()
    assert run(compute).outcome == "elsewhere"
    assert compute.calls == 0
    assert place.ledger.read(a_run()) == {}


def test_work_that_comes_too_early_leaves_nothing(place: Workplace) -> None:
    assert run(lambda check: None).outcome == "incomplete"
    assert place.store.size(KEY) is None
    assert place.ledger.read(a_run()) == {}


def test_a_canceled_run_is_not_begun(place: Workplace) -> None:
    place.cancellations.flag(a_run())
    compute = Failing()
    assert run(compute).outcome == "canceled"
    assert compute.calls == 0


@pytest.mark.parametrize("asks", [True, False], ids=["between batches", "before the commit"])
def test_a_run_canceled_meanwhile_publishes_nothing(place: Workplace, asks: bool) -> None:
    def cancel(check: Callable[[], None]) -> dict[str, Any]:
        place.cancellations.flag(a_run())
        if asks:
            check()
        return {}

    assert run(cancel).outcome == "canceled"
    assert place.store.size(KEY) is None
    assert place.leases.held([KEY]) == [False]


def test_a_fault_that_passes_is_tried_again(place: Workplace) -> None:
    compute = Failing(StoreUnavailable(), StoreUnavailable())
    assert run(compute).outcome == "computed"
    assert compute.calls == 3


def test_while_it_waits_for_its_next_try_the_lease_is_kept_for_it(place: Workplace) -> None:
    held: list[bool] = []
    reserve = place.leases.reserve

    def watching(key: str, task_id: str, seconds: float) -> None:
        reserve(key, task_id, seconds)
        held.extend([*place.leases.held([key]), place.leases.take(key, "other:1", "other-task")])

    place.leases.reserve = watching  # type: ignore[method-assign]
    assert run(Failing(StoreUnavailable())).outcome == "computed"
    assert held == [True, False]


@pytest.mark.parametrize(
    ("error", "calls", "code", "is_dead_letter"),
    [
        (UnreadableAudio(), 1, "unreadable_audio", False),
        (OutOfMemory(), 2, "gpu_out_of_memory", True),
        (SourceUnavailable(), 7, "retries_exhausted", True),
        (ZeroDivisionError("a bug"), 3, "internal_error", True),
    ],
    ids=repr,
)
def test_a_unit_is_given_up_with_its_error_written_down(
    place: Workplace, error: Exception, calls: int, code: str, is_dead_letter: bool
) -> None:
    compute = Failing(*[error] * 9)
    receipt = run(compute)
    assert (receipt.outcome, compute.calls) == ("failed", calls)
    assert receipt.detail and receipt.detail["code"] == code
    assert json.loads(place.store.get(keys.failed(a_unit())))["code"] == code
    assert (place.store.size(keys.dead_letter(a_unit())) is not None) is is_dead_letter
    assert place.ledger.read(a_run())[Stage.TRANSCRIBE, 0].outcome == "failed"


def died(place: Workplace, unit: Unit, times: int) -> None:
    for _ in range(times):
        Attempts(place.redis).begin(unit)


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable(), StoreRefused(), ReadOnlyError("replica"), RedisConnectionError("away")],
    ids=repr,
)
def test_a_service_that_is_away_is_awaited_as_long_as_it_lasts(
    place: Workplace, error: Exception
) -> None:
    compute = Failing(*[error] * 20, ZeroDivisionError("a bug"))
    assert run(compute).outcome == "computed"
    assert compute.calls == 22  # the bug was the unit's first charged try


@pytest.mark.parametrize("known", [True, False], ids=["another has it", "none has it"])
def test_a_worker_without_a_model_that_another_has_keeps_no_message_from_the_other_for_long(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """One that fails in a moment took message after message, each to wait for up to a minute."""
    write_records(place.store, a_manifest("asked"))
    if known:
        place.speeds.observe(SpeedName("gpu", Stage.TRANSCRIBE, "fake"), 1.0, 10.0)
    slept: list[float] = []
    waited: list[float] = []
    monkeypatch.setattr(failing, "sleep", slept.append)
    monkeypatch.setattr(place.leases, "reserve", lambda key, task, delay: waited.append(delay))
    compute = Failing(*[ModelUnavailable()] * 9)
    assert run(compute, a_unit(job="asked")).outcome == "computed"
    assert len(waited) == 9
    assert slept == (waited if known else [])
    assert max(waited) <= SLOT_SECONDS if known else max(waited) > 3 * SLOT_SECONDS


def test_units_of_a_model_that_no_worker_has_any_more_give_their_slots_to_others_in_the_end(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(place.store, a_manifest("asked"))
    place.speeds.observe(SpeedName("gpu", Stage.TRANSCRIBE, "fake"), 1.0, 10.0)  # one had it once
    slept: list[float] = []
    monkeypatch.setattr(failing, "sleep", slept.append)
    compute = Failing(*[ModelUnavailable()] * 20)
    assert run(compute, a_unit(job="asked")).outcome == "computed"
    assert len(slept) == TRIES_IN_SLOT
    assert sum(slept) < 60


def test_a_worker_s_fault_is_not_charged_to_the_unit(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Left(BaseException):
        """The process has ended."""

    def leave(_: Workplace, *, charged: Unit | None = None) -> None:
        place.attempts.forgive(but=() if charged is None else (charged,))
        raise Left

    def unfit() -> None:
        raise DeviceFault("no driver")

    monkeypatch.setattr(Workplace, "leave", leave)
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, fitness=Fitness(unfit)))
    with pytest.raises(Left):
        run(Failing(DeviceFault("no driver")))
    assert place.attempts.deaths(a_unit()).of_unit == 0
    assert place.ledger.read(a_run()) == {}
    assert list(place.store.list("")) == [keys.manifest(TENANT, JOB)]


def test_for_a_model_that_is_broken_everywhere_one_worker_leaves_and_not_all_without_an_end(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cache that they share, or a directory that was taken away: the job fails then."""

    class Left(BaseException):
        """The process has ended."""

    def leave(_: Workplace, *, charged: Unit | None = None) -> None:
        place.attempts.forgive()
        raise Left

    monkeypatch.setattr(Workplace, "leave", leave)
    place.speeds.observe(SpeedName("gpu", Stage.TRANSCRIBE, "base"), 1.0, 10.0)
    with pytest.raises(Left):
        run(Failing(ModelUnusable("base", "It is broken.")))
    compute = Failing(*[ModelUnusable("base", "It is broken.")] * 9)
    receipt = run(compute)
    assert (receipt.outcome, compute.calls) == ("failed", 3)
    assert receipt.detail and receipt.detail["code"] == "model_unusable"


def test_a_fault_of_the_device_on_a_worker_that_is_fit_is_charged(place: Workplace) -> None:
    compute = Failing(*[DeviceFault("it cannot do that")] * 9)
    receipt = run(compute)
    assert (receipt.outcome, compute.calls) == ("failed", 3)
    assert receipt.detail and receipt.detail["code"] == "device_fault"


def test_an_unreachable_flag_is_no_cancel(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, no_redis: Redis
) -> None:
    cut_off = replace(place, cancellations=Cancellations(no_redis))
    monkeypatch.setattr(ending, "workplace", lambda: cut_off)

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        check()
        return say_hello(check)

    assert run(compute).outcome == "computed"


def test_a_job_that_killed_its_workers_too_often_costs_no_more_of_them(place: Workplace) -> None:
    for index in range(1, CRASHED_UNITS + 1):
        died(place, a_unit(index=index), place.settings.max_attempts)
        receipt = run(Failing(), a_unit(index=index))
        assert receipt.detail and receipt.detail["code"] == "chunk_crashed"
    compute = Failing()
    receipt = run(compute, a_unit(index=90))
    assert receipt.detail and receipt.detail["code"] == "chunk_crashed"
    assert "not tried" in receipt.detail["message"]
    assert compute.calls == 0


def test_a_unit_that_kills_its_worker_is_given_up_before_it_kills_another(
    place: Workplace,
) -> None:
    died(place, a_unit(), place.settings.max_attempts)
    compute = Failing()
    receipt = run(compute)
    assert receipt.detail and receipt.detail["code"] == "chunk_crashed"
    assert compute.calls == 0
    assert place.store.size(keys.dead_letter(a_unit())) is not None
    assert place.leases.held([KEY]) == [False]


def test_an_error_before_the_key_is_known_is_settled_too(place: Workplace) -> None:
    @celery.task(name="undescribed", bind=True, shared=False)
    def undescribed(self: Any) -> Receipt:
        def describe(place: Workplace, unit: Unit) -> Work:
            raise KeyError("no manifest")

        return Receipt.from_json(run_unit(self, a_unit(), describe))

    assert undescribed.apply().get().outcome == "failed"
    assert place.store.size(keys.failed(a_unit())) is not None


def test_a_failure_that_cannot_be_written_is_tried_again(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Full(place.store)
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, store=full))
    assert run(Failing(*[UnreadableAudio()] * 2)).outcome == "failed"
    assert full.refusals == 0
    assert place.store.size(keys.failed(a_unit())) is not None


class Full:
    """A store without space for the first write."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self.refusals = 1

    def put(self, key: str, data: bytes) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable()
        return self.store.put(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def test_without_redis_a_receipt_is_lost_but_not_the_work(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, no_redis: Redis
) -> None:
    def away(*_: object) -> None:
        no_redis.ping()

    monkeypatch.setattr(place.unit_requests, "end", away)
    assert run(say_hello).outcome == "computed"
    assert place.store.size(KEY) is not None
    assert place.attempts.deaths(a_unit()).of_unit == 0  # its try is taken back all the same


def test_long_audio_may_take_longer(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    watch = place.watchdog.watch

    def noting(key: str, owner: str, seconds: float, unit: Unit) -> Any:
        limits.append(seconds)
        return watch(key, owner, seconds, unit)

    monkeypatch.setattr(place.watchdog, "watch", noting)
    run(say_hello)
    values = place.settings.model_copy(update={"deadline_floor_seconds": 1.0})
    place.store.delete(KEY)
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    run(say_hello)
    assert limits == [place.settings.deadline_floor_seconds, 100.0]


@pytest.mark.slow
def test_a_poisoned_process_ends() -> None:
    code = (
        "from gpu_worker.errors import DevicePoisoned\n"
        "from tests.unit.tasks.execution.test_run import Failing, run\n"
        "run(Failing(DevicePoisoned()))\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert child.returncode == EXIT_UNFIT, child.stderr.decode()
