"""A job's records as they are read from the store."""

from __future__ import annotations

import pytest

from tasks.artifacts import ArtifactMissing, encode, exists
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.records import Records, failures, result_record
from tasks.runs.stages import Stage
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records


class Counting(MemoryStore):
    """Says how often it was read."""

    reads = 0

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.reads += 1
        return super().get(key, start, length)


def test_manifest_and_plan_are_read_back_as_written() -> None:
    store = MemoryStore()
    write_records(store, a_manifest(), a_plan(10, 5))
    records = Records(store)
    assert records.manifest(TENANT, JOB) == a_manifest()
    assert records.plan(TENANT, JOB) == a_plan(10, 5)


def test_a_record_is_read_from_the_store_once() -> None:
    store = Counting()
    write_records(store, a_manifest())
    records = Records(store)
    for _ in range(5):
        records.manifest(TENANT, JOB)
    assert store.reads == 1


def test_only_so_many_are_remembered() -> None:
    store = Counting()
    for job in ("a", "b"):
        write_records(store, a_manifest(job))
    records = Records(store, remembered=1)
    for job in ("a", "b", "b", "a"):
        records.manifest(TENANT, job)
    assert store.reads == 3


def test_a_record_that_is_not_there_yet_is_asked_for_again() -> None:
    store = MemoryStore()
    records = Records(store)
    with pytest.raises(ArtifactMissing):
        records.plan(TENANT, JOB)
    write_records(store, a_manifest(), a_plan())
    assert records.plan(TENANT, JOB) == a_plan()


def test_a_given_language_needs_no_artifact() -> None:
    assert Records(MemoryStore()).language(a_manifest(), a_plan()) == "en"


@pytest.mark.parametrize("language", ["es", None])
def test_a_detected_language_is_read(language: str | None) -> None:
    store, manifest, plan = MemoryStore(), a_manifest(language=None), a_plan()
    key = keys.language(TENANT, plan.audio, manifest.options)
    store.put(key, encode({"language": language}))
    assert Records(store).language(manifest, plan) == language


def test_each_unit_is_done_when_its_artifact_is_there() -> None:
    store = MemoryStore()
    write_records(store, a_manifest(), a_plan(10, 5))
    records = Records(store)
    found = {stage: records.key(a_unit(stage, 1)) for stage in Stage if stage != Stage.FAN_OUT}
    assert found[Stage.PREPARE] == keys.plan(TENANT, JOB)
    assert found[Stage.ASSEMBLE] == keys.of_run(a_run(), keys.RESULT)
    assert "/language-" in found[Stage.DETECT_LANGUAGE]
    assert "/transcribe/160000-240000-" in found[Stage.TRANSCRIBE]


def test_failures_are_those_of_one_run() -> None:
    store = MemoryStore()
    for unit in (a_unit(index=3), a_unit(Stage.PREPARE), a_unit(index=4, run=2)):
        store.put(keys.failed(unit), encode({"code": unit.key_in_run}))
    assert failures(store, a_run()) == {
        (Stage.TRANSCRIBE, 3): {"code": "transcribe/3"},
        (Stage.PREPARE, 0): {"code": "prepare/0"},
    }


def test_equal_records_are_equal_bytes() -> None:
    assert encode({"b": 1, "a": "é"}) == encode({"a": "é", "b": 1}) == '{"a":"é","b":1}'.encode()


def test_an_empty_artifact_exists() -> None:
    store = MemoryStore()
    assert not exists(store, "key")
    store.put("key", b"")
    assert exists(store, "key")


def test_a_result_has_all_its_fields() -> None:
    assert result_record() == {"transcript": None, "missing": [], "error": None, "canceled": False}


def test_packed_records_take_the_place_of_reads_up_to_their_size() -> None:
    store = Counting()
    for job in ("a", "b"):
        write_records(store, a_manifest(job), a_plan(10, 5))
    records = Records(store, 1, 1_000_000)
    for _ in range(3):
        for job in ("a", "b"):
            assert records.manifest(TENANT, job) == a_manifest(job)
            assert records.plan(TENANT, job) == a_plan(10, 5)
    assert store.reads == 4
    assert records.remembers(TENANT, "a")
    records.forget(TENANT, "a")
    assert not records.remembers(TENANT, "a")
    few = Records(store, 1, 10)  # no record is so small
    few.manifest(TENANT, "a")
    few.manifest(TENANT, "b")
    few.manifest(TENANT, "a")
    assert store.reads == 7


def test_a_broken_record_is_an_error_with_a_code_and_is_read_again() -> None:
    store = MemoryStore()
    store.put(keys.manifest(TENANT, JOB), b"{")
    records = Records(store)
    for _ in range(2):
        with pytest.raises(UnreadableRecord, match=r"manifest\.json"):
            records.manifest(TENANT, JOB)


def test_stray_objects_and_later_stages_are_no_failures() -> None:
    store = MemoryStore()
    for name in ("align/0.json", "align/x.json", "denoise/1.json", "README"):
        store.put(keys.of_run(a_run(), f"failed/{name}"), b"[]")
    found = failures(store, a_run())
    assert {unit: error["code"] for unit, error in found.items()} == {
        (Stage.ALIGN, 0): "unreadable_record"
    }
