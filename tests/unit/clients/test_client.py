"""Both clients against the API as it is served, and against servers that are in trouble."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orchestrator.cluster.connection import Cluster
from scriptorium_client import ApiError, AsyncClient, Client, Event, Job, calls
from tasks.execution.workplace import Workplace
from tasks.runs import keys, usage_keys
from tests.inputs.doubted import WRONG, publish
from tests.inputs.examples import TENANT
from tests.inputs.speech import recording, write_wav
from tests.servers.api import serving
from tests.servers.web import Answer, WebServer, body, web_server
from tests.unit.orchestrator.collections.collected import collecting, end_jobs
from tests.unit.orchestrator.events.watched import WatchedJob
from tests.unit.orchestrator.reconciler.passes import with_settings
from tests.unit.orchestrator.usage.records import a_record
from tests.unit.tasks.inline import run_job

OPTIONS: dict[str, Any] = {"model": "fake", "language": "en", "aligner": "cross_attention"}
A_JOB = {
    "id": "job-1", "tenant": "default", "run": 1, "name": "talk.wav", "model": "fake",
    "status": "queued", "stage": "prepare", "progress": 0.0,
    "chunks": {"total": 0, "done": 0, "failed": 0, "newer": 1}, "created_at": 1.0, "newer": 1,
}  # fmt: skip


class Awaited:
    """An AsyncClient that is called like a Client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            found = getattr(self._client, name)(*arguments, **options)
            if inspect.isasyncgen(found):
                return self._each(found)
            return self._runner.run(found)

        return call

    def _each(self, items: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(self._next(items))
            except StopAsyncIteration:
                return

    @staticmethod
    async def _next(items: Any) -> Any:
        return await anext(items)

    def __enter__(self) -> Any:
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.__aexit__(*error))
        self._runner.close()  # with the generators that are still open


@pytest.fixture(params=[Client, Awaited])
def make(request: pytest.FixtureRequest) -> Any:
    """Makes a client of each kind."""
    return request.param


@pytest.fixture
def url(connection: Cluster) -> Iterator[str]:
    """Where the API is."""
    with serving(connection) as address:
        yield address


@pytest.fixture
def client(make: Any, url: str) -> Iterator[Any]:
    with make(url) as opened:
        yield opened


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(8)[0])


def test_it_brings_neither_the_cluster_s_libraries_nor_the_server_s() -> None:
    code = "import sys, scriptorium_client; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in out.stdout.split()}
    assert not loaded & {"celery", "kombu", "redis", "boto3", "fastapi", "pydantic", "numpy"}


@pytest.mark.slow
def test_a_file_becomes_a_transcript(
    client: Any, connection: Cluster, place: Workplace, talk: Path
) -> None:
    job = client.submit(talk, metadata={"for": "me"}, **OPTIONS)
    assert isinstance(job, Job)
    assert (job.name, job.status, job.metadata, job.final) == (
        "talk.wav", "queued", {"for": "me"}, False,
    )  # fmt: skip
    run_job(connection.redis, connection.job(TENANT, job.id))
    ended = client.wait(job.id, timeout=60)
    assert ended == client.job(job.id)
    assert ended.status == "completed" and ended.final and ended.progress == 1.0
    text = client.transcript(job.id)
    assert client.result(job.id)["text"].split() == text.split() != []
    assert "-->" in client.transcript(job.id, "srt", max_line_width="20")
    assert client.transcript_file(job.id, "docx").startswith(b"PK")
    assert client.subtitle_report(job.id, "netflix", 25)["frame_rate"] == 25
    assert client.subtitle_report(job.id, "bbc")["profile"] == "bbc"


def test_lines_are_corrected_by_what_was_seen(client: Any, connection: Cluster) -> None:
    job = publish(connection)
    assert client.corrections(job)["version"] == 0
    line = {"segment": WRONG, "start": 0.5, "action": "corrected", "text": "We met a nice team."}
    assert client.correct(job, [line], run=1, version=0)["version"] == 1
    assert client.corrections(job)["lines"][0]["text"] == "We met a nice team."
    assert client.result(job)["segments"][WRONG]["text"] == "We met a nice team."
    assert client.result(job, corrected=False)["segments"][WRONG]["text"] == "We met an ice cream."
    assert "ice cream" in client.transcript(job, corrections="off")
    with pytest.raises(ApiError) as refused:
        client.correct(job, [{**line, "text": "Other."}], run=1, version=0)
    assert refused.value.code == "correction_conflict"


def test_an_open_file_is_sent_from_its_beginning(
    client: Any, connection: Cluster, talk: Path
) -> None:
    with talk.open("rb") as file:
        file.read(100)
        job = client.submit(file, **OPTIONS)
        assert not file.closed
    source = connection.records.manifest(TENANT, job.id).source
    assert source.name == "talk.wav"
    assert connection.store.get(source.artifact or "") == talk.read_bytes()
    assert client.submit(io.BytesIO(talk.read_bytes()), **OPTIONS).name == "audio"


def test_an_address_is_left_to_the_server(make: Any, connection: Cluster, url: str) -> None:
    with make(url) as client, pytest.raises(ApiError) as refused:
        client.submit("s3://elsewhere/talk.wav")
    assert (refused.value.status, refused.value.code) == (403, "source_not_allowed")
    assert refused.value.request_id
    assert "elsewhere" in str(refused.value)


def test_wrong_options_are_told_with_their_place(client: Any, talk: Path) -> None:
    with pytest.raises(ApiError) as refused:
        client.submit(talk, beam_size=0)
    assert refused.value.status == 422
    assert refused.value.param == "options.beam_size"


def test_the_same_idempotency_key_gives_the_same_job(client: Any, talk: Path) -> None:
    first = client.submit(talk, idempotency_key="once", **OPTIONS)
    assert client.submit(talk, idempotency_key="once", **OPTIONS).id == first.id
    with pytest.raises(ApiError, match="leave the header out"):
        client.submit(talk, idempotency_key="", **OPTIONS)
    assert client.submit(talk, **OPTIONS).id != first.id


def test_all_jobs_are_listed_page_by_page(
    client: Any, connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "PAGE", 2)
    for index in range(5):
        WatchedJob(connection, f"job-{index}")
    assert sorted(job.id for job in client.jobs()) == [f"job-{index}" for index in range(5)]
    assert list(client.jobs("completed")) == []


def test_it_tells_what_was_used(client: Any, connection: Cluster) -> None:
    record = a_record(ended_at=100 * 24 * 3600.0)
    connection.store.put(usage_keys.used(record.run), record.to_bytes())
    used = client.usage("1970-04-01", "1970-04-30", by=("tenant", "stage"))
    assert [(row["tenant"], row["stage"]) for row in used["data"]] == [
        ("acme", "prepare"), ("acme", "transcribe"),
    ]  # fmt: skip
    assert client.usage()["data"] == [] and client.usage(tenant="bolt")["total"]["units"] == 0


def test_it_keeps_vocabularies(client: Any) -> None:
    put = client.put_vocabulary("legal", {"replacements": {"pie torch": "PyTorch"}})
    assert put["reference"] == "legal@1"
    assert client.put_vocabulary("legal", {})["version"] == 2
    assert client.vocabularies() == [{"name": "legal", "version": 2, "versions": [1, 2]}]
    assert client.vocabulary("legal", 1)["vocabulary"] == put["vocabulary"]
    assert client.vocabulary("legal")["version"] == 2
    client.delete_vocabulary("legal")
    assert client.vocabularies() == []


def test_a_job_is_canceled_retried_and_deleted(
    client: Any, connection: Cluster, talk: Path
) -> None:
    job = client.submit(talk, **OPTIONS)
    assert client.cancel(job.id).status == "canceled"
    with pytest.raises(ApiError) as refused:
        client.cancel(job.id)
    assert refused.value.code == "illegal_transition"
    assert client.retry(job.id).run == 2
    client.delete(job.id)
    with pytest.raises(ApiError) as gone:
        client.job(job.id)
    assert gone.value.status == 404
    assert not list(connection.store.list(f"{keys.source(TENANT, '')}"))


def test_the_key_is_sent(make: Any, connection: Cluster) -> None:
    values = connection.settings.model_copy(update={"api_key": SecretStr("scr_right")})
    with serving(replace(connection, settings=values)) as url:
        with make(url, "scr_right") as client:
            assert list(client.jobs()) == []
        with make(url) as stranger, pytest.raises(ApiError) as refused:
            list(stranger.jobs())
    assert (refused.value.status, refused.value.code) == (401, "not_authenticated")


@pytest.mark.slow
def test_waiting_ends_after_the_timeout(client: Any, connection: Cluster) -> None:
    job = WatchedJob(connection)
    with pytest.raises(TimeoutError, match="queued"):
        client.wait(job.id, timeout=0.3)
    threading.Timer(0.3, job.do_all).start()
    assert client.wait(job.id).final


def test_events_are_followed_to_the_end(client: Any, connection: Cluster) -> None:
    job = WatchedJob(connection)
    threading.Timer(0.2, job.do_all).start()
    events = list(client.stream(job.id))
    assert [event.name for event in events].count("end") == 1
    assert events[-1].job is not None and events[-1].job.status == "completed"
    texts = [segment["text"] for event in events for segment in event.segments]
    assert texts == ["chunk 0", "chunk 1", "chunk 2"]
    assert list(client.stream(job.id, events[-1].id)) == []
    rest = list(client.stream(job.id, events[1].id))
    assert rest == events[2:]


def test_a_stream_of_a_job_that_is_not_there_is_refused(client: Any) -> None:
    with pytest.raises(ApiError) as refused:
        next(client.stream("nothing"))
    assert refused.value.status == 404


def events_in_pieces(handler: BaseHTTPRequestHandler) -> None:
    """One event a connection, which is then cut off; the third is the end."""
    last = int(handler.headers.get("Last-Event-ID", 0))
    if last == 3:
        handler.send_response(204)
        handler.end_headers()
        return
    name = "end" if last == 2 else "job"
    data = json.dumps(A_JOB)
    wire = f": ping\r\n\r\nid: {last + 1}\r\nevent: {name}\r\ndata: {data}\r\n\r\n".encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Content-Length", str(len(wire) + 100))
    handler.end_headers()
    handler.wfile.write(wire + b"id: 9\r\ndata: half")
    handler.close_connection = True


def headers_of(server: WebServer) -> list[dict[str, str]]:
    """Of each request, by names in lower case."""
    return [
        {name.lower(): value for name, value in headers.items()}
        for _, _, headers in server.requests
    ]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """There is no wait between tries; the delays that were meant."""
    meant: list[float] = []
    real = calls.delay

    def delay(error: BaseException | None, tries: int) -> float:
        meant.append(real(error, tries))
        return 0.0

    monkeypatch.setattr(calls, "delay", delay)
    return meant


def test_a_broken_stream_is_taken_up_where_it_broke(make: Any, hasty: list[float]) -> None:
    with web_server(events_in_pieces) as server, make(server.url("")) as client:
        events = list(client.stream("job-1"))
    assert [(event.id, event.name) for event in events] == [
        ("1", "job"),
        ("2", "job"),
        ("3", "end"),
    ]
    assert [headers.get("last-event-id") for headers in headers_of(server)] == [None, "1", "2"]


def test_a_stream_that_only_breaks_is_given_up(make: Any, hasty: list[float]) -> None:
    with (
        web_server(body(b": ping\n\n", Content_Type="text/event-stream")) as server,
        make(server.url(""), tries=3) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(client.stream("job-1"))
    assert len(server.requests) == 3


def chain_of(*answers: Answer) -> Answer:
    """Each request is answered by the next; the last one stays."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(2)


JOB = body(json.dumps(A_JOB).encode(), 202)
BUSY = body(b'{"error": {"message": "Full.", "code": "cluster_full"}}', 503, Retry_After="7")
PAGE_OF_A_PROXY = body(b"<html>Bad gateway</html>", 502)


def test_a_submission_is_repeated_with_the_same_key_and_the_whole_file(
    make: Any, hasty: list[float], tmp_path: Path
) -> None:
    (tmp_path / "talk.wav").write_bytes(b"x" * 1000)
    with web_server(chain_of(hang_up, BUSY, JOB)) as server, make(server.url("")) as client:
        job = client.submit(str(tmp_path / "talk.wav"))
    assert job.id == "job-1"
    sent = headers_of(server)
    assert len({headers["idempotency-key"] for headers in sent}) == 1 and len(sent) == 3
    assert len({headers["content-length"] for headers in sent}) == 1
    assert 7.0 <= hasty[1] <= 9.0


def test_what_stays_in_trouble_is_told(make: Any, hasty: list[float]) -> None:
    with (
        web_server(BUSY) as server,
        make(server.url(""), tries=2) as client,
        pytest.raises(ApiError, match=r"Full\. \(503 cluster_full\)") as refused,
    ):
        client.job("job-1")
    assert refused.value.retry_after == 7.0
    assert len(server.requests) == 2


def test_a_reply_that_is_not_ours_is_told_too(make: Any) -> None:
    with (
        web_server(PAGE_OF_A_PROXY) as server,
        make(server.url("")) as client,
        pytest.raises(ApiError, match="Bad gateway") as refused,
    ):
        client.job("job-1")
    assert refused.value.code == "http_502"


def test_what_may_have_been_done_is_not_done_twice(make: Any, hasty: list[float]) -> None:
    with web_server(chain_of(hang_up, JOB)) as server, make(server.url("")) as client:
        with pytest.raises(httpx.TransportError):
            client.retry("job-1")
        assert len(server.requests) == 1
        assert client.job("job-1").id == "job-1"


def test_an_api_that_is_away_is_tried_again(make: Any, hasty: list[float]) -> None:
    with make("http://127.0.0.1:1", tries=3) as client, pytest.raises(httpx.ConnectError):
        client.cancel("job-1")
    assert len(hasty) == 3


def test_a_job_s_id_cannot_lead_elsewhere() -> None:
    assert calls.job_call("../admin/keys?x").path == "/v1/jobs/..%2Fadmin%2Fkeys%3Fx"


def in_pieces(wire: bytes, size: int) -> Answer:
    """An event stream in HTTP chunks, which the client gets as they were cut."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(wire), size):
            piece = wire[start : start + size]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_read_however_their_bytes_are_cut(make: Any, size: int) -> None:
    text = "one\u2028line"  # Unicode calls it two
    told = json.dumps({"segments": [{"text": text}]}, ensure_ascii=False)
    wire = (
        f": hello\n\nid: 1\nevent: segments\ndata: {told}\n\n: ping\n\n"
        'retry: 5\r\n\r\nid: 2\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
        "id: 3\nevent: end\ndata: {}\n\nid: 4\ndata: "
    ).encode()
    with web_server(in_pieces(wire, size)) as server, make(server.url("")) as client:
        events = list(client.stream("job-1"))
    assert events == [
        Event("1", "segments", {"segments": [{"text": text}]}),
        Event("2", "message", {"a": 1}),
        Event("3", "end", {}),
    ]
    assert events[0].job is None and events[0].segments[0]["text"] == text
    assert events[1].segments == ()


def test_a_page_instead_of_events_is_told(make: Any, hasty: list[float]) -> None:
    page = body(b"<html>Log in</html>", Content_Type="text/html")
    with (
        web_server(page) as server,
        make(server.url(""), tries=2) as client,
        pytest.raises(httpx.TransportError, match="text/html"),
    ):
        list(client.stream("job-1"))
    assert len(server.requests) == 2


def test_delays_grow_and_have_an_end() -> None:
    assert calls.delay(None, 0) < calls.delay(None, 3) < calls.delay(None, 20) < 40.0
    assert calls.delay(ApiError(429, "quota_exceeded", "", retry_after=0.0), 20) == 0.0


class Counting(io.FileIO):
    """Remembers how much was read at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and size >= 0
        self.most = max(self.most, size)
        return super().read(size)


def test_a_large_file_is_streamed_from_the_disk(make: Any, tmp_path: Path) -> None:
    (tmp_path / "large.wav").write_bytes(b"x" * (8 << 20))
    with web_server(JOB) as server, make(server.url("")) as client:
        with Counting(tmp_path / "large.wav") as file:
            client.submit(file)
        assert 0 < file.most <= 1 << 20
    assert int(headers_of(server)[0]["content-length"]) > 8 << 20


def test_a_collection_is_submitted_listed_retried_and_deleted(
    make: Any, connection: Cluster, tmp_path: Path
) -> None:
    cluster = with_settings(connection, source_buckets="calls", allowed_models="fake")
    listed = tmp_path / "may.csv"
    listed.write_text("source\ns3://calls/1.wav\ns3://calls/2.wav\ns3://elsewhere/3.wav\n")
    with serving(cluster) as url, make(url) as client:
        made = client.submit_collection(
            listed, metadata={"team": "sales"}, model="fake", language="en"
        )
        assert (made.name, made.counts["total"], made.metadata) == ("may.csv", 3, {"team": "sales"})
        with pytest.raises(TimeoutError):
            client.wait_collection(made.id, timeout=0.1)
        duty = collecting(cluster)
        duty.go_on()
        end_jobs(cluster, "2.wav")
        duty.go_on()
        ended = client.wait_collection(made.id, timeout=60)
        assert (ended.status, ended.final) == ("partial", True)
        bad = list(client.lines(made.id, "failed", "refused"))
        assert [(line.line, line.status) for line in bad] == [(3, "failed"), (4, "refused")]
        assert len(list(client.lines(made.id))) == 3
        assert client.retry_collection(made.id).round == 2
        assert client.cancel_collection(made.id).id == made.id
        other = client.submit_collection(["s3://calls/1.wav"], name="june", idempotency_key="june")
        again = client.submit_collection(["s3://calls/1.wav"], name="june", idempotency_key="june")
        assert again.id == other.id
        assert [it.id for it in client.collections()] == [other.id, made.id]
        with pytest.raises(ApiError) as refused:
            client.submit_collection("s3://elsewhere/x/", suffix=[".wav"])
        assert refused.value.code == "source_not_allowed"
        client.delete_collection(made.id)
        with pytest.raises(ApiError):
            client.collection(made.id)
