"""Files over HTTP: uploads in, transcripts and audio out."""

from __future__ import annotations

import io
import json
import os
import time
import wave
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from redis import Redis

from config.settings import Settings
from gpu_worker.assembly.formats import FORMATS
from gpu_worker.errors import AudioOutOfBounds
from gpu_worker.pcm import Span
from orchestrator.api.application import make_application
from orchestrator.api.routes import recordings
from orchestrator.api.routes.transcripts import attachment
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs import uploads
from orchestrator.results.recordings import Recording
from tasks.artifacts import encode, exists
from tasks.artifacts.memory import MemoryStore
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tests.inputs.examples import TENANT

HOST = "http://127.0.0.1"
SAMPLES = np.arange(2000, dtype="<i2")


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


@pytest.fixture
def job(http: TestClient) -> str:
    reply = http.post("/v1/jobs", files={"file": ('Grüße "1".wav', b"x")})
    return str(reply.json()["id"])


def code(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json()["error"]["code"])


def announced(http: TestClient, size: int) -> dict[str, Any]:
    reply = http.post("/v1/uploads", json={"name": "talk.wav", "size": size})
    assert reply.status_code == 201 and reply.headers["Location"].endswith(reply.json()["id"])
    return dict(reply.json())


def decoded(connection: Cluster, job: str, *channels: str) -> None:
    """As `prepare` leaves it: each channel is the samples, and one more than the last one."""
    for number, audio in enumerate(channels):
        connection.store.put(keys.pcm(TENANT, audio), (SAMPLES + number).tobytes())
    split = channels if len(channels) > 1 else ()
    plan = Plan(audio=channels[0], seconds=0.125, chunks=(Span(0, 2000),), channels=split)
    connection.store.put(keys.plan(TENANT, job), encode(plan.model_dump(mode="json")))


def finish(connection: Cluster, job: str) -> None:
    word = {"word": "Hello", "start": 0.5, "end": 1.0, "score": 0.9, "speaker": "SPEAKER_00"}
    line = {"start": 0.5, "end": 1.0, "text": "Hello <b>", "speaker": "SPEAKER_00"}
    transcript = {
        "text": "Hello <b>", "language": "en", "segments": [line | {"words": [word]}],
        "word_segments": [word], "warnings": [], "duration": 2.0,
    }  # fmt: skip
    unit = Run(TENANT, job, 1).unit(Stage.ASSEMBLE)
    record = result_record(transcript=transcript)
    connection.store.put(keys.of_run(unit.run, keys.RESULT), encode(record))
    connection.settle(unit.run)


def test_a_file_is_uploaded_first_and_submitted_then(http: TestClient, connection: Cluster) -> None:
    data = os.urandom(3 << 20)
    upload = announced(http, len(data))
    assert upload["method"] == "PUT" and upload["expires_at"] > time.time()
    body = {"upload_id": upload["id"]}
    assert code(http.post("/v1/jobs", json=body)) == (404, "unknown_upload")
    assert http.put(upload["url"], content=data).status_code == 204
    job = http.post("/v1/jobs", json=body).json()
    assert job["name"] == "talk.wav"
    source = connection.records.manifest(TENANT, job["id"]).source
    assert connection.store.get(str(source.artifact)) == data
    renamed = http.post("/v1/jobs", json=body | {"name": "other.wav"}).json()
    assert renamed["name"] == "other.wav"


def test_an_upload_has_exactly_the_size_that_was_announced(http: TestClient) -> None:
    url = announced(http, 5)["url"]
    assert code(http.put(url, content=b"1234")) == (400, "upload_size")
    assert code(http.put(url, content=b"123456")) == (413, "body_too_large")
    assert code(http.put(url, content=iter([b"123", b"456"]))) == (413, "body_too_large")
    assert http.put(url, content=iter([b"12", b"345"])).status_code == 204
    assert code(http.put(url, content=b"54321")) == (409, "upload_exists")


@pytest.mark.parametrize("upload", ["none", "a" * 23, "..%2F..%2Fetc", "%00", "ä", "a" * 64])
def test_a_file_that_nobody_announced_is_refused(http: TestClient, upload: str) -> None:
    assert http.put(f"/v1/uploads/{upload}", content=b"x").status_code == 404


def test_an_upload_takes_its_file_for_a_while_only(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "OPEN_SECONDS", -1)
    assert code(http.put(announced(http, 1)["url"], content=b"x")) == (404, "unknown_upload")


def test_no_room_is_made_for_a_file_over_the_quota(settings: Settings, redis: Redis) -> None:
    small = open_cluster(settings.model_copy(update={"quotas": {TENANT: {"source_bytes": 10}}}))
    with TestClient(make_application(small), base_url=HOST) as http:
        reply = http.post("/v1/uploads", json={"name": "a", "size": 11})
        assert code(reply) == (413, "audio_out_of_bounds")
        assert http.post("/v1/uploads", json={"name": "a", "size": 0}).status_code == 422
    small.store.put(keys.upload(TENANT, "a" * 23), b"twelve bytes")
    with pytest.raises(AudioOutOfBounds):
        uploads.uploaded(small, TENANT, "a" * 23)
    small.close()


def test_an_upload_whose_name_redis_forgot_still_becomes_a_job(
    http: TestClient, connection: Cluster
) -> None:
    upload = announced(http, 1)
    http.put(upload["url"], content=b"x")
    connection.redis.flushall()
    assert http.post("/v1/jobs", json={"upload_id": upload["id"]}).json()["name"] == "audio"


def test_a_body_is_small_unless_it_is_a_file(http: TestClient) -> None:
    large = b'{"source": "' + b"x" * (1 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}
    for path in ("/v1/jobs", "/v1/uploads", "/v1/session"):
        reply = http.post(path, content=large, headers=headers)
        assert code(reply) == (413, "body_too_large")
        reply = http.post(path, content=iter([large]), headers=headers)
        assert code(reply) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("form", "kind", "beginning"),
    [
        ("json", "application/json", "{"),
        ("txt", "text/plain; charset=utf-8", "[SPEAKER_00]: Hello"),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,500 --> "),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n"),
        ("tsv", "text/tab-separated-values; charset=utf-8", "start\tend\ttext\n500\t1000\t"),
        ("rttm", "text/plain; charset=utf-8", "SPEAKER "),
        ("docx", FORMATS["docx"].media_type, "PK"),
        ("textgrid", "text/plain; charset=utf-8", 'File type = "ooTextFile"'),
        ("eaf", "application/xml; charset=utf-8", "<?xml "),
        ("audacity", "text/plain; charset=utf-8", "0.500\t"),
    ],
)
def test_a_transcript_comes_in_every_format(
    http: TestClient, connection: Cluster, job: str, form: str, kind: str, beginning: str
) -> None:
    at = f"/v1/jobs/{job}/transcript"
    assert code(http.get(at, params={"format": form})) == (409, "not_finished")
    finish(connection, job)
    reply = http.get(at, params={"format": form})
    assert reply.headers["Content-Type"] == kind
    assert reply.text.startswith(beginning)
    assert "Content-Disposition" not in reply.headers
    saved = http.get(at, params={"format": form, "download": "true"})
    assert saved.text == reply.text or form == "docx"  # the time is in its archive
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    assert saved.headers["Content-Disposition"].endswith(FORMATS[form].extension)


def test_json_is_what_comes_unless_asked_otherwise(
    http: TestClient, connection: Cluster, job: str
) -> None:
    finish(connection, job)
    assert http.get(f"/v1/jobs/{job}/transcript").json()["text"] == "Hello <b>"


@pytest.mark.parametrize(
    "query",
    [
        "format=exe",
        "max_line_width=0",
        "max_line_count=x",
        "highlight_words=maybe",
        "profile=cinema",
        "frame_rate=0",
        "frame_rate=nan",
    ],
)
def test_a_format_that_cannot_be_is_refused(http: TestClient, job: str, query: str) -> None:
    reply = http.get(f"/v1/jobs/{job}/transcript?{query}")
    assert code(reply) == (422, "invalid_request")
    assert reply.json()["error"]["param"] == query.partition("=")[0]


def test_cues_are_cut_as_asked(http: TestClient, connection: Cluster, job: str) -> None:
    finish(connection, job)
    params = {"format": "srt", "highlight_words": "true"}
    assert "<u>" in http.get(f"/v1/jobs/{job}/transcript", params=params).text


def test_a_profile_cuts_cues_and_its_report_says_what_is_violated(
    http: TestClient, connection: Cluster, job: str
) -> None:
    at = f"/v1/jobs/{job}"
    assert code(http.get(f"{at}/subtitle-report?profile=bbc")) == (409, "not_finished")
    finish(connection, job)
    params = {"format": "srt", "profile": "netflix", "frame_rate": "25"}
    assert "SPEAKER" not in http.get(f"{at}/transcript", params=params).text
    report = http.get(f"{at}/subtitle-report", params=params).json()
    assert (report["profile"], report["frame_rate"], report["cues"]) == ("netflix", 25.0, 1)
    assert len(report["violations"]) == sum(report["by_rule"].values())
    both = params | {"max_line_width": "30"}
    assert code(http.get(f"{at}/transcript", params=both)) == (400, "invalid_option")
    assert code(http.get(f"{at}/subtitle-report")) == (422, "invalid_request")


def test_a_failed_job_has_no_transcript(http: TestClient, connection: Cluster, job: str) -> None:
    http.post(f"/v1/jobs/{job}/cancel")
    assert code(http.get(f"/v1/jobs/{job}/transcript")) == (409, "not_finished")


def test_any_name_fits_into_a_header() -> None:
    plain, _, exact = attachment('Grüße "1"\r\n%.srt').partition("; filename*=")
    assert plain == 'attachment; filename="Gr__e _1____.srt"'
    assert exact == "UTF-8''Gr%C3%BC%C3%9Fe%20%221%22%0D%0A%25.srt"


def test_audio_is_a_wav_file(http: TestClient, connection: Cluster, job: str) -> None:
    at = f"/v1/jobs/{job}/audio"
    assert code(http.get(at)) == (409, "not_finished")
    decoded(connection, job, "aa")
    reply = http.get(at)
    assert reply.headers["Content-Type"] == "audio/wav" and reply.status_code == 200
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    with wave.open(io.BytesIO(reply.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(5000) == SAMPLES.tobytes()
    head = http.head(at)
    assert head.content == b"" and head.headers["Content-Length"] == str(len(reply.content))


def test_split_channels_are_channels_again(http: TestClient, connection: Cluster, job: str) -> None:
    decoded(connection, job, "aa", "bb")
    with wave.open(io.BytesIO(http.get(f"/v1/jobs/{job}/audio").content)) as file:
        assert file.getnchannels() == 2
        frames = np.frombuffer(file.readframes(5000), "<i2").reshape(-1, 2)
    assert np.array_equal(frames[:, 0], SAMPLES) and np.array_equal(frames[:, 1], SAMPLES + 1)


@pytest.mark.parametrize("channels", [("aa",), ("aa", "bb"), ("aa", "bb", "cc")])
def test_any_range_is_that_part_of_the_whole(
    http: TestClient,
    connection: Cluster,
    job: str,
    channels: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recordings, "PIECE_BYTES", 1000)
    decoded(connection, job, *channels)
    at = f"/v1/jobs/{job}/audio"
    whole = http.get(at).content
    size = len(whole)
    for first, last in [(0, 0), (0, 43), (43, 44), (44, 44), (45, 1046), (7, 3001), (3000, None)]:
        asked = f"bytes={first}-{'' if last is None else last}"
        reply = http.get(at, headers={"Range": asked})
        end = size - 1 if last is None else last
        assert reply.status_code == 206 and reply.content == whole[first : end + 1]
        assert reply.headers["Content-Range"] == f"bytes {first}-{end}/{size}"
    for asked, span in [("bytes=-1", slice(-1, None)), ("bytes=-99999", slice(None)),
                        (f"bytes=10-{10**18}", slice(10, None))]:  # fmt: skip
        reply = http.get(at, headers={"Range": asked})
        assert reply.status_code == 206 and reply.content == whole[span]


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0", f"bytes={10**18}-"])
def test_a_range_behind_the_end_is_refused(
    http: TestClient, connection: Cluster, job: str, asked: str
) -> None:
    decoded(connection, job, "aa")
    reply = http.get(f"/v1/jobs/{job}/audio", headers={"Range": asked})
    assert code(reply) == (416, "range_not_satisfiable")
    assert reply.headers["Content-Range"] == "bytes */4044"


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=2-1", "bytes=0-1,4-5", "lines=1-2", "junk"])
def test_what_is_no_single_range_gets_the_whole(
    http: TestClient, connection: Cluster, job: str, asked: str
) -> None:
    decoded(connection, job, "aa")
    assert http.get(f"/v1/jobs/{job}/audio", headers={"Range": asked}).status_code == 200


def test_audio_that_is_gone_is_told_so(
    http: TestClient, connection: Cluster, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded(connection, job, "aa")
    connection.store.delete(keys.pcm(TENANT, "aa"))
    assert code(http.get(f"/v1/jobs/{job}/audio")) == (404, "audio_missing")
    found = Recording((keys.pcm(TENANT, "aa"),), 2000)
    monkeypatch.setattr(recordings, "open_recording", lambda *_: found)  # gone in between
    assert code(http.get(f"/v1/jobs/{job}/audio")) == (404, "audio_missing")


def test_a_day_of_stereo_has_the_largest_sizes_a_header_can_hold() -> None:
    header = Recording(("a", "b"), 24 * 3600 * 16_000).header()
    assert len(header) == 44 and header[4:8] == header[40:44] == b"\xff" * 4


def test_only_s3_has_addresses_that_take_files(connection: Cluster) -> None:
    assert connection.store.presigned_put("a", 1, 1) is None
    assert MemoryStore().presigned_put("a", 1, 1) is None
    assert not exists(connection.store, "a")


def test_the_form_of_an_upload_is_json(http: TestClient) -> None:
    body = json.dumps({"name": "a\x00", "size": 1})
    reply = http.post("/v1/uploads", content=body, headers={"Content-Type": "application/json"})
    assert reply.json()["error"]["param"] == "name"
