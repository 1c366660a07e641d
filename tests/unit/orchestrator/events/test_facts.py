"""What is known of a run, and the text of its chunks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.transcript import segment_to_json, segments_from_json
from gpu_worker.words import join_texts, word_places
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.events import Facts, events_after
from orchestrator.events.facts import FactsReader
from tasks.artifacts import encode
from tasks.runs import keys, vocabulary_keys
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.vocabulary import Vocabulary
from tasks.state.receipts import Receipt
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.inputs.writings import WRITINGS, written

WORDS = [{"word": "Hi.", "start": 1.0, "end": 2.0, "score": 0.5}]


@pytest.fixture
def reader(connection: Cluster) -> FactsReader:
    return FactsReader(connection)


def accepted(connection: Cluster, **options: Any) -> None:
    write_records(connection.store, a_manifest(**options), a_plan(10, 10))
    connection.jobs.add(a_manifest(**options), a_run())


def known(reader: FactsReader) -> Facts:
    facts = reader.read(TENANT, JOB, 1)
    assert facts is not None
    return facts


def write(connection: Cluster, stage: Stage, text: str, score: float = 0.5) -> None:
    segment = {"start": 1.0, "end": 2.0, "text": text, "words": WORDS, "avg_logprob": score}
    data = {"windows": [{"spans": [], "segments": [segment]}]}
    key = connection.records.key(a_unit(stage))
    connection.store.put(key, json.dumps(data).encode())


def test_aligned_words_are_preferred(connection: Cluster, reader: FactsReader) -> None:
    accepted(connection, aligner="ctc")
    write(connection, Stage.TRANSCRIBE, "as heard")
    assert reader.text(known(reader), 0)[0]["text"] == "as heard"
    write(connection, Stage.ALIGN, "as aligned")
    assert reader.text(known(reader), 0)[0]["text"] == "as aligned"


def test_live_text_is_written_as_the_vocabulary_says(
    connection: Cluster, reader: FactsReader
) -> None:
    accepted(connection, vocabulary="legal@1")
    write(connection, Stage.TRANSCRIBE, "Hi.")
    assert reader.text(known(reader), 0)[0]["text"] == "Hi."
    content = Vocabulary(masked=("hi",), mask_style="all", keep_spoken=False)
    copy = vocabulary_keys.copy(TENANT, JOB, "legal@1")
    connection.store.put(copy, encode(content.model_dump(mode="json")))
    assert "Hi" not in str(reader.text(known(reader), 0))
    assert reader.text(known(reader), 0)[0]["text"] == "**."


def test_a_chunk_that_could_not_be_aligned_has_its_first_words(
    connection: Cluster, reader: FactsReader
) -> None:
    accepted(connection, aligner="ctc")
    write(connection, Stage.TRANSCRIBE, "as heard")
    write(connection, Stage.ALIGN, "by a later run")
    connection.ledger.record(a_unit(Stage.ALIGN), Receipt("failed"))
    assert reader.text(known(reader), 0)[0]["text"] == "as heard"


def test_a_chunk_that_was_given_up_has_no_text(connection: Cluster, reader: FactsReader) -> None:
    accepted(connection)
    assert reader.text(known(reader), 0) == []
    write(connection, Stage.TRANSCRIBE, "by a later run")
    connection.ledger.record(a_unit(), Receipt("failed"))
    assert reader.text(known(reader), 0) == []


def test_words_that_nobody_asked_for_are_left_out(connection: Cluster, reader: FactsReader) -> None:
    accepted(connection, aligner="none")
    write(connection, Stage.TRANSCRIBE, "as heard")
    assert reader.text(known(reader), 0)[0]["words"] == []


@pytest.mark.parametrize("name", WRITINGS)
def test_a_chunk_s_text_and_words_are_told_as_they_were_written(
    connection: Cluster, reader: FactsReader, name: str
) -> None:
    accepted(connection)
    said = written(name)
    heard = ChunkTranscript((HeardWindow((), said.segments),))
    key = connection.records.key(a_unit(Stage.TRANSCRIBE))
    connection.store.put(key, json.dumps(heard.to_json()).encode())
    facts = replace(known(reader), history=[("1-0", (Stage.TRANSCRIBE, 0))])
    (event,) = [
        event
        for event, _ in events_after(facts, partial(reader.text, facts))
        if event.kind == "segments"
    ]
    assert len(event.wire.decode().splitlines()) == 4
    told = json.loads(event.data)["segments"]
    assert told == [segment_to_json(segment) for segment in said.segments]
    found = segments_from_json(told)
    assert join_texts(segment.text for segment in found) == said.text
    for segment in found:
        places = word_places(segment.text, [word.word for word in segment.words])
        assert [segment.text[slice(*place)] for place in places] == [w.word for w in segment.words]


def test_numbers_that_json_has_not_are_left_out(connection: Cluster, reader: FactsReader) -> None:
    accepted(connection)
    write(connection, Stage.TRANSCRIBE, "as heard", float("nan"))
    (segment,) = reader.text(known(reader), 0)
    assert "avg_logprob" not in segment and segment["words"] == WORDS


def test_split_channels_have_the_published_text(connection: Cluster, reader: FactsReader) -> None:
    plan = a_plan(10).model_copy(update={"channels": ("l", "r"), "chunk_channels": (0,)})
    write_records(connection.store, a_manifest(channels="split"), plan)
    connection.jobs.add(a_manifest(channels="split"), a_run())
    segments = [{"start": 0.0, "end": 1.0, "text": "Hello.", "speaker": "SPEAKER_01"}]
    result = result_record(transcript={"segments": segments})
    connection.store.put(keys.of_run(a_run(), keys.RESULT), encode(result))
    assert reader.text(known(reader), 0) == segments


def test_a_result_that_nobody_has_indexed_is_found(
    connection: Cluster, reader: FactsReader
) -> None:
    accepted(connection)
    unit = a_unit(Stage.ASSEMBLE)
    connection.store.put(keys.of_run(unit.run, keys.RESULT), encode(result_record(canceled=True)))
    assert known(reader).ended is None
    connection.ledger.record(unit, Receipt("computed"))
    ended = known(reader).ended
    assert ended is not None and ended.status == "canceled"


def test_a_job_that_redis_forgot_is_not_brought_back_from_here(
    connection: Cluster, reader: FactsReader
) -> None:
    write_records(connection.store, a_manifest())
    assert reader.read(TENANT, JOB, 1) is None
    connection.records.manifest(TENANT, JOB)  # is remembered
    connection.store.delete(keys.manifest(TENANT, JOB))
    with pytest.raises(UnknownJob):
        reader.read(TENANT, JOB, 1)


def test_a_job_that_is_being_deleted_is_unknown(connection: Cluster, reader: FactsReader) -> None:
    write_records(connection.store, a_manifest())
    connection.store.put(keys.tombstone(TENANT, JOB), b"{}")
    with pytest.raises(UnknownJob):
        reader.read(TENANT, JOB, 1)
