"""What waits in the queues, read from what kombu keeps in Redis."""

from __future__ import annotations

import pytest

from orchestrator import queues as module
from orchestrator.connection import Connection
from orchestrator.queues import queue_lengths, queued_units, read_unit
from tasks.pipeline import fan_out_canvas, run_canvas, signature
from tasks.stages import Lane, Stage
from tests.unit.examples import a_manifest, a_unit


def test_a_message_is_read_back_as_its_unit(connection: Connection) -> None:
    unit = a_unit(index=7, run=3)
    signature(connection.celery, unit, Lane.BULK).apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {unit}
    assert queue_lengths(connection.redis)["transcribe.bulk"] == 1


def test_of_a_run_only_the_first_stage_waits(connection: Connection) -> None:
    run_canvas(connection.celery, a_manifest(language=None), 1).apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {a_unit(Stage.PREPARE)}


def test_all_chunks_of_a_chord_wait(connection: Connection) -> None:
    canvas = fan_out_canvas(
        connection.celery,
        [(a_unit(index=index),) for index in range(5)],
        [a_unit(Stage.ASSEMBLE)],
        Lane.INTERACTIVE,
    )
    for header in canvas.tasks:  # the chord itself would subscribe to its results
        header.apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {a_unit(index=index) for index in range(5)}


def test_long_queues_are_read_in_pages(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    for index in range(10):
        signature(connection.celery, a_unit(index=index), Lane.BULK).apply_async(ignore_result=True)
    assert queued_units(connection.redis) == {a_unit(index=index) for index in range(10)}
    connection.redis.rpop("transcribe.bulk", 2)
    assert len(queued_units(connection.redis)) == 8


def test_a_message_of_somebody_else_is_no_unit(connection: Connection) -> None:
    ping = connection.celery.signature("celery.ping", queue="prepare.bulk")
    ping.apply_async(ignore_result=True)
    message = connection.redis.lindex("prepare.bulk", 0)
    assert read_unit(message) is None
    assert queued_units(connection.redis) == set()


def test_no_queue_waits_at_first(connection: Connection) -> None:
    assert set(queue_lengths(connection.redis).values()) == {0}
