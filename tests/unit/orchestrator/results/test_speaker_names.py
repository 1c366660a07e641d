"""Names that people give to speakers show in every format, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from docx import Document
from fastapi.testclient import TestClient

from gpu_worker.assembly.formats import FORMATS
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.transcript import Segment, Transcript, Turn, Word, transcript_to_json
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob
from orchestrator.results.files import render_result
from orchestrator.results.speaker_names import (
    InvalidSpeakerNames,
    given_names,
    name_speakers,
    speaker_names,
    with_names,
)
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, write_records

FIRST, SECOND = "SPEAKER_00", "SPEAKER_01"
TRANSCRIPT = Transcript(
    "en",
    4.0,
    (
        Segment(0.5, 1.5, "Good day.", (Word("Good", 0.5, 1.0, 0.9, FIRST),), speaker=FIRST),
        Segment(2.0, 3.0, "Hello.", (Word("Hello.", 2.0, 3.0, 0.9, SECOND),), speaker=SECOND),
        Segment(3.0, 4.0, "(noise)"),
    ),
    turns=(Turn(0.5, 1.5, FIRST), Turn(2.0, 3.0, SECOND)),
)


def publish(connection: Cluster, record: dict[str, object]) -> None:
    write_records(connection.store, a_manifest())
    result = keys.of_run(a_run(), keys.RESULT)
    connection.store.put(result, encode(record))


@pytest.fixture
def job(connection: Cluster) -> str:
    publish(connection, result_record(transcript=transcript_to_json(TRANSCRIPT)))
    return JOB


def rendered(connection: Cluster, form: str) -> str:
    content = render_result(connection, TENANT, JOB, form, SubtitleOptions())
    if form != "docx":
        return content.decode("utf-8")
    return "\n".join(it.text for it in Document(BytesIO(content)).paragraphs)


def test_at_first_everybody_has_their_label(connection: Cluster, job: str) -> None:
    assert speaker_names(connection, TENANT, job) == {FIRST: FIRST, SECOND: SECOND}
    assert given_names(connection, TENANT, job) == {}


def test_a_name_stands_for_its_label_in_every_format_that_shows_speakers(
    connection: Cluster, job: str
) -> None:
    before = {form: rendered(connection, form) for form in FORMATS}
    name_speakers(connection, TENANT, job, {FIRST: "Anna-Lisa"})
    for form, text in before.items():
        assert rendered(connection, form) == text.replace(FIRST, "Anna-Lisa")
    assert "Anna-Lisa" in rendered(connection, "srt")
    body = json.loads(rendered(connection, "json"))
    spoken = [body["segments"][0], body["word_segments"][0], body["turns"][0]]
    assert [item["speaker"] for item in (*spoken, body["segments"][0]["words"][0])] == [
        "Anna-Lisa"
    ] * 4
    assert "speaker" not in body["segments"][2]


def test_the_last_names_count_and_replace_all_before(connection: Cluster, job: str) -> None:
    name_speakers(connection, TENANT, job, {FIRST: "Anna", SECOND: "Ben"})
    assert name_speakers(connection, TENANT, job, {SECOND: "  Bea "}) == {
        FIRST: FIRST,
        SECOND: "Bea",
    }
    for number in range(12):  # more than one digit sorts too
        name_speakers(connection, TENANT, job, {FIRST: f"Name {number}"})
    assert speaker_names(connection, TENANT, job)[FIRST] == "Name 11"
    name_speakers(connection, TENANT, job, {})
    assert speaker_names(connection, TENANT, job) == {FIRST: FIRST, SECOND: SECOND}


def test_names_that_are_given_at_once_are_versions_one_after_the_other(
    connection: Cluster, job: str
) -> None:
    names = [f"Name {number}" for number in range(16)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: name_speakers(connection, TENANT, job, {FIRST: name}), names))
    versions = list(connection.store.list(keys.job(TENANT, job, "speakers/")))
    assert len(versions) == 16
    assert speaker_names(connection, TENANT, job)[FIRST] in names


def test_two_may_have_the_same_name(connection: Cluster, job: str) -> None:
    both = {FIRST: "Anna", SECOND: "Anna"}
    assert name_speakers(connection, TENANT, job, both) == both


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("SPEAKER_07", "Anna"),
        ("", "Anna"),
        (FIRST, ""),
        (FIRST, "   "),
        (FIRST, "x" * 65),
        (FIRST, "two\nlines"),
        (FIRST, "nul\x00"),
        (FIRST, "\u202eesrever"),  # turns the reading direction round
        (FIRST, "\ud800"),
    ],
)
def test_names_that_could_not_be_shown_are_refused(
    connection: Cluster, job: str, label: str, name: str
) -> None:
    with pytest.raises(InvalidSpeakerNames):
        name_speakers(connection, TENANT, job, {label: name})
    assert given_names(connection, TENANT, job) == {}


def test_names_are_kept_from_becoming_markup(connection: Cluster, job: str) -> None:
    name_speakers(connection, TENANT, job, {FIRST: "<b>A&B</b> --> x"})
    assert "<b>" not in rendered(connection, "vtt")
    assert rendered(connection, "rttm").count("\n") == 2


def test_only_a_transcript_has_speakers(connection: Cluster) -> None:
    with pytest.raises(UnknownJob):
        speaker_names(connection, TENANT, JOB)
    write_records(connection.store, a_manifest())
    with pytest.raises(NotFinished):
        name_speakers(connection, TENANT, JOB, {FIRST: "Anna"})
    publish(connection, result_record(canceled=True))
    with pytest.raises(NotFinished, match="no transcript"):
        speaker_names(connection, TENANT, JOB)


def test_a_version_that_a_deletion_takes_away_meanwhile_names_nobody(
    connection: Cluster, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.results.speaker_names._newest", lambda *_: 3)
    assert given_names(connection, TENANT, job) == {}


def test_without_names_a_transcript_is_as_it_was() -> None:
    data = transcript_to_json(TRANSCRIPT)
    assert with_names(data, {}) == data
    bare = {"language": "en", "segments": [{"text": "x"}]}
    assert with_names(bare, {FIRST: "Anna"}) == {
        "language": "en",
        "segments": [{"text": "x", "words": []}],
    }


@pytest.fixture
def client(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url="http://127.0.0.1") as client:
        yield client


def test_speakers_are_shown_and_named_over_http(client: TestClient, job: str) -> None:
    path = f"/v1/jobs/{job}/speakers"
    assert client.get(path).json() == {FIRST: FIRST, SECOND: SECOND}
    assert client.put(path, json={FIRST: "Anna"}).json() == {FIRST: "Anna", SECOND: SECOND}
    assert client.get(path).json()[FIRST] == "Anna"
    refused = client.put(path, json={"SPEAKER_09": "Anna"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_speaker_names")
    assert client.put(path, json={FIRST: 7}).status_code == 422
    assert client.put(path, json=["Anna"]).status_code == 422


def test_speakers_of_unknown_and_unfinished_jobs_are_errors_over_http(
    client: TestClient, connection: Cluster
) -> None:
    assert client.get("/v1/jobs/nobody/speakers").status_code == 404
    write_records(connection.store, a_manifest())
    assert client.put(f"/v1/jobs/{JOB}/speakers", json={}).status_code == 409
