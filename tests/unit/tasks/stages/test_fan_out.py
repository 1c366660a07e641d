"""One message for each chunk that is not done yet, and one that brings them together."""

from __future__ import annotations

import pytest

from gpu_worker.errors import SourceMissing
from tasks.app import app
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.records import Records, failures
from tasks.runs.stages import HEADER_STAGES, Stage
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.unit.tasks.inline import run_task

UNIT = a_unit(Stage.FAN_OUT)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was asked of the chunks' task and of `assemble`, which are stood in for."""
    found: list[tuple[str, int]] = []
    for stage in (*HEADER_STAGES, Stage.DIARIZE, Stage.ASSEMBLE):
        task = app.tasks[stage.task_name]

        def note(tenant: str, job: str, run: int, index: int = 0, stage: Stage = stage) -> None:
            found.append((stage.value, index))

        monkeypatch.setattr(task, "run", note)
        monkeypatch.setattr(task, "__trace__", None)
    return found


def test_every_chunk_is_asked_for_then_assembled(
    place: Workplace, asked: list[tuple[str, int]]
) -> None:
    write_records(place.store, a_manifest(), a_plan(10, 10, 10))
    run_task(UNIT)
    assert asked == [*(("transcribe", index) for index in range(3)), ("assemble", 0)]


def test_a_chunk_with_an_artifact_is_not_asked_for_again(
    place: Workplace, asked: list[tuple[str, int]]
) -> None:
    write_records(place.store, a_manifest(), a_plan(10, 10, 10))
    place.store.put(Records(place.store).key(a_unit(index=1)), b"{}")
    run_task(UNIT)
    assert asked == [("transcribe", 0), ("transcribe", 2), ("assemble", 0)]


def test_a_file_that_is_all_done_is_only_assembled(
    place: Workplace, asked: list[tuple[str, int]]
) -> None:
    write_records(place.store, a_manifest(), a_plan(10))
    place.store.put(Records(place.store).key(a_unit()), b"{}")
    run_task(UNIT)
    assert asked == [("assemble", 0)]


def test_words_and_speakers_are_asked_for_too_but_nothing_that_is_there(
    place: Workplace, asked: list[tuple[str, int]]
) -> None:
    manifest = a_manifest(aligner="ctc", diarize=True, shard_seconds=16)
    write_records(place.store, manifest, a_plan(10, 10, 10))
    records = Records(place.store)
    for stage, index in ((Stage.TRANSCRIBE, 0), (Stage.ALIGN, 1), (Stage.EMBED_SPEAKERS, 1)):
        place.store.put(records.key(a_unit(stage, index)), b"{}")
    run_task(UNIT)
    assert asked == [
        ("align", 0),
        ("transcribe", 2),
        ("align", 2),
        ("embed_speakers", 0),
        ("diarize", 0),
        ("assemble", 0),
    ]
    receipts = place.ledger.read(a_run())
    assert set(receipts) == {
        (Stage.FAN_OUT, 0),
        (Stage.TRANSCRIBE, 0),
        (Stage.TRANSCRIBE, 1),
        (Stage.ALIGN, 1),
        (Stage.EMBED_SPEAKERS, 1),
    }


def test_while_it_writes_messages_nobody_takes_them_for_lost(
    place: Workplace, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(place.store, a_manifest(), a_plan(10))
    lease, held = keys.of_run(UNIT.run, "fan_out"), []
    task = app.tasks[Stage.FAN_OUT.task_name]
    replace = type(task).replace

    def watched(self: object, canvas: object) -> object:
        held.append(place.leases.held([lease]))
        return replace(self, canvas)

    monkeypatch.setattr(type(task), "replace", watched)
    run_task(UNIT)
    assert held == [[True]] and place.leases.held([lease]) == [False]


def test_a_fan_out_that_fails_lets_assemble_publish_the_failure(place: Workplace) -> None:
    place.store.put(keys.manifest(TENANT, JOB), b"not json")
    run_task(UNIT)
    assert failures(place.store, UNIT.run)[Stage.FAN_OUT, 0]["code"] == "retries_exhausted"
    result = place.store.get(keys.of_run(UNIT.run, keys.RESULT))
    assert b"UnreadableRecord" in result


def test_a_failure_before_it_needs_no_chunks(place: Workplace) -> None:
    error = SourceMissing().to_json()
    write_records(place.store, a_manifest())
    place.store.put(keys.failed(a_unit(Stage.PREPARE)), encode(error))
    run_task(a_unit(Stage.ASSEMBLE))
    assert b"source_missing" in place.store.get(keys.of_run(UNIT.run, keys.RESULT))


def test_of_a_canceled_run_no_chunk_is_asked_for(
    place: Workplace, asked: list[tuple[str, int]]
) -> None:
    place.cancellations.flag(UNIT.run)  # its job may be deleted, and have no records
    run_task(UNIT)
    assert asked == [("assemble", 0)]
    assert list(place.store.list("")) == []


def test_a_message_of_a_job_that_is_gone_leaves_nothing_though_redis_was_wiped(
    place: Workplace,
) -> None:
    for unit in (UNIT, a_unit(Stage.PREPARE), a_unit(), a_unit(Stage.ASSEMBLE)):
        run_task(unit)
        assert list(place.store.list("")) == []
