"""What a process counts of its units, its messages and its models."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from redis import Redis

from gpu_worker.errors import OutOfMemory, StoreUnavailable, UnreadableAudio
from gpu_worker.transcription.engines import EngineRequest
from tasks.broker import SENT_AT
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt
from tasks.telemetry.counts import _count_wait, model_label
from tests.inputs.examples import a_manifest, a_plan, a_unit, write_records
from tests.unit.counted import Counted
from tests.unit.tasks.inline import run_task

celery = Celery("counts")
Compute = Callable[[Callable[[], None]], dict[str, Any] | None]


@celery.task(name="counted_unit", bind=True, shared=False)
def counted_unit(self: Any, compute: Compute) -> Receipt:
    return Receipt.from_json(
        run_unit(self, a_unit(), lambda place, unit: Work("artifact", compute, 10.0))
    )


def failing(*errors: Exception) -> Compute:
    left = list(errors)

    def compute(check: Callable[[], None]) -> dict[str, Any]:
        if left:
            raise left.pop(0)
        return {}

    return compute


@pytest.fixture
def written(place: Workplace) -> Workplace:
    """With the records of one job."""
    write_records(place.store, a_manifest(model="tiny"), a_plan(10.0))
    return place


def test_a_computed_unit_counts_its_audio_and_its_time(written: Workplace) -> None:
    with Counted() as grew:
        counted_unit.apply((failing(),))
    labels = {"stage": "transcribe", "model": "tiny"}
    assert grew("scriptorium_audio_seconds_total", **labels) == 10.0
    assert grew("scriptorium_unit_seconds_count", **labels) == 1
    assert grew("scriptorium_real_time_factor_count", **labels) == 1
    assert grew("scriptorium_units_total", stage="transcribe", outcome="computed") == 1
    assert grew("scriptorium_cache_requests_total", level="transcribe", result="miss") == 1
    assert grew("scriptorium_cache_requests_total", level="transcribe", result="hit") == 0


def test_what_was_there_counts_as_a_hit_and_as_no_audio(written: Workplace) -> None:
    written.store.put("artifact", b"{}")
    with Counted() as grew:
        counted_unit.apply((failing(),))
    assert grew("scriptorium_units_total", stage="transcribe", outcome="cached") == 1
    assert grew("scriptorium_cache_requests_total", level="transcribe", result="hit") == 1
    assert grew("scriptorium_audio_seconds_total") == 0


def test_tries_again_and_what_is_given_up_are_counted_by_code(written: Workplace) -> None:
    with Counted() as grew:
        counted_unit.apply((failing(StoreUnavailable(), StoreUnavailable(), UnreadableAudio()),))
    assert grew("scriptorium_retries_total", stage="transcribe", code="store_unavailable") == 2
    assert grew("scriptorium_errors_total", stage="transcribe", code="unreadable_audio") == 1
    assert grew("scriptorium_units_total", stage="transcribe", outcome="failed") == 1
    assert grew("scriptorium_dead_letters_total") == 0  # the submitter's fault


def test_a_dead_letter_is_counted_once(written: Workplace) -> None:
    with Counted() as grew:
        counted_unit.apply((failing(*[OutOfMemory()] * 2),))
        counted_unit.apply((failing(*[OutOfMemory()] * 2),))
    labels = {"stage": "transcribe", "code": "gpu_out_of_memory"}
    assert grew("scriptorium_dead_letters_total", **labels) == 1
    assert grew("scriptorium_errors_total", **labels) == 2


def test_a_unit_of_a_job_that_was_deleted_meanwhile_ends_all_the_same(place: Workplace) -> None:
    with Counted() as grew:
        assert counted_unit.apply((failing(),)).get().outcome == "computed"
    assert grew("scriptorium_units_total", outcome="computed") == 1
    assert grew("scriptorium_unit_seconds_count") == 0


def test_chunks_that_no_message_is_sent_for_are_hits_too(
    written: Workplace, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.store.put(written.records.key(a_unit()), b"{}")
    with Counted() as grew:
        run_task(a_unit(Stage.FAN_OUT))
    assert grew("scriptorium_units_total", stage="transcribe", outcome="cached") == 1
    assert grew("scriptorium_cache_requests_total", level="transcribe", result="hit") == 1


def test_the_end_of_a_run_is_counted_by_its_status(written: Workplace) -> None:
    with Counted() as grew:  # its chunk is missing, so it comes too early
        run_task(a_unit(Stage.ASSEMBLE))
    assert grew("scriptorium_jobs_ended_total") == 0
    from tasks.artifacts import encode
    from tasks.runs import keys

    error = UnreadableAudio().to_json()
    written.store.put(keys.failed(a_unit(Stage.PREPARE)), encode(error))
    with Counted() as grew:
        run_task(a_unit(Stage.ASSEMBLE))
        run_task(a_unit(Stage.ASSEMBLE))
    assert grew("scriptorium_jobs_ended_total", status="failed") == 1
    assert grew("scriptorium_jobs_ended_total") == 1


def test_models_count_their_loads_and_their_hits(place: Workplace) -> None:
    with Counted() as grew:
        for _ in range(3):
            place.engines.get(EngineRequest("fake"))
    assert grew("scriptorium_model_load_seconds_count", kind="engine") == 1
    assert grew("scriptorium_cache_requests_total", level="engine", result="miss") == 1
    assert grew("scriptorium_cache_requests_total", level="engine", result="hit") == 2


@pytest.mark.parametrize(
    ("stage", "options", "label"),
    [
        (Stage.TRANSCRIBE, {"model": "large-v3"}, "large-v3"),
        (Stage.ALIGN, {"model": "someone/their-model"}, "someone/their-model"),
        (Stage.DETECT_LANGUAGE, {"model": "/models/mine"}, "directory"),
        (Stage.TRANSCRIBE, {"model": "fake-250x"}, "fake"),
        # A client may name any model in a submission; it is not looked for in these stages.
        (Stage.PREPARE, {"model": "evil/1234"}, ""),
        (Stage.ASSEMBLE, {"model": "evil/1234"}, ""),
        (
            Stage.EMBED_SPEAKERS,
            {"model": "evil/1234"},
            "pyannote/speaker-diarization-community-1",
        ),
        (Stage.EMBED_SPEAKERS, {"model": "pico"}, "pico-voice"),
    ],
)
def test_a_label_names_a_model_that_was_loaded(
    stage: Stage, options: dict[str, Any], label: str
) -> None:
    assert model_label(stage, JobOptions(**options)) == label


def waited(**request: Any) -> float:
    """Seconds that were counted for a message."""
    context = Context({"delivery_info": {"routing_key": "transcribe.bulk"}} | request)
    with Counted() as grew:
        _count_wait(task=SimpleNamespace(request=context))
    if not grew("scriptorium_queue_wait_seconds_count", stage="transcribe", lane="bulk"):
        return -1.0
    return grew("scriptorium_queue_wait_seconds_sum")


def test_a_message_tells_how_long_it_waited() -> None:
    assert 4.9 < waited(**{SENT_AT: time.time() - 5}) < 65  # a busy machine is late
    assert waited(**{SENT_AT: time.time() + 60}) == 0.0  # clocks differ


def test_a_message_that_is_due_later_waits_from_then_on() -> None:
    due = datetime.now(UTC) - timedelta(seconds=2)
    sent = {SENT_AT: time.time() - 100}
    assert 1.9 < waited(eta=due.isoformat(), **sent) < 62


@pytest.mark.parametrize(
    "request_of",
    [
        {},
        {SENT_AT: 1.0, "retries": 1},
        {SENT_AT: 1.0, "delivery_info": {"routing_key": "transcribe.bulk", "redelivered": True}},
        {SENT_AT: 1.0, "delivery_info": {"routing_key": "submit"}},
        {SENT_AT: 1.0, "delivery_info": None},
    ],
)
def test_messages_that_come_again_and_those_of_others_do_not_count(
    request_of: dict[str, Any],
) -> None:
    assert waited(**request_of) == -1.0
