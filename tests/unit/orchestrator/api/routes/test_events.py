"""A job's events over HTTP: a real server, real connections, and many of them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.access import Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.api import application, server
from orchestrator.api.routes import events
from orchestrator.cluster.connection import Cluster
from orchestrator.events import hub
from orchestrator.events.hub import RENDERERS, Hub
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.artifacts import encode
from tasks.execution.workplace import Workplace
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.inputs.examples import TENANT
from tests.inputs.speech import recording, write_wav
from tests.servers.api import serving
from tests.unit.orchestrator.events.watched import WatchedJob
from tests.unit.tasks.inline import run_job

Seen = dict[str, str]
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)
SCRIPT = """
import sys
from pydantic import SecretStr
from config.settings import Settings
from orchestrator.api import server
from orchestrator.api.server import listen, run_server
from orchestrator.cluster.connection import open_cluster

connection = open_cluster(Settings(redis_url=SecretStr(sys.argv[1]), store_url=sys.argv[2]))
server.GRACE_SECONDS = int(sys.argv[3])
socket = listen("127.0.0.1", 0)
print(socket.getsockname()[1], flush=True)
run_server(connection, "127.0.0.1", 0, [socket])
connection.close()
"""


@pytest.fixture
def hubs(monkeypatch: pytest.MonkeyPatch) -> list[Hub]:
    """Those of the servers that the test starts."""
    made: list[Hub] = []

    def make(connection: Cluster) -> Hub:
        made.append(Hub(connection))
        return made[-1]

    monkeypatch.setattr(application, "Hub", make)
    return made


@pytest.fixture
def address(connection: Cluster, hubs: list[Hub]) -> Iterator[str]:
    with serving(connection) as url:
        yield url


def at(address: str, job: str) -> str:
    return f"{address}/v1/jobs/{job}/events"


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        timeout=PATIENCE_SECONDS, limits=LIMITS, trust_env=False
    ) as opened:
        yield opened


async def parsed(reply: httpx.Response) -> AsyncIterator[Seen]:
    """Each event's fields, as the standard reads them."""
    fields: Seen = {}
    async for line in reply.aiter_lines():
        if not line and fields:
            yield fields
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            assert name in ("id", "event", "data") and name not in fields
            fields[name] = value


async def watch(
    http: httpx.AsyncClient, url: str, last: str | None = None, count: int | None = None
) -> list[Seen]:
    """All events until the stream ends, or the first so many."""
    seen: list[Seen] = []
    headers = {"Last-Event-ID": last} if last else {}
    async with http.stream("GET", url, headers=headers) as reply:
        assert reply.status_code == 200, await reply.aread()
        async for event in parsed(reply):
            seen.append(event)
            if len(seen) == count:
                break
    return seen


def watched(url: str, last: str | None = None) -> list[Seen]:
    async def body() -> list[Seen]:
        async with client() as http:
            return await watch(http, url, last)

    return asyncio.run(body())


@pytest.mark.slow
def test_the_text_that_is_told_is_the_transcript(
    connection: Cluster, place: Workplace, redis: Redis, address: str, tmp_path: Path
) -> None:
    write_wav(tmp_path / "talk.wav", recording(30)[0])
    source = upload(connection, tmp_path / "talk.wav", TENANT)
    options = JobOptions(model="fake", chunk_seconds=10, aligner="ctc")
    job = submit(connection, source, options, tenant=TENANT)
    run_job(redis, job)
    seen = watched(at(address, job.id))
    told = [json.loads(event["data"]) for event in seen if event["event"] == "segments"]
    assert [part["chunk"] for part in told] == list(range(len(told))) and len(told) > 2
    published = connection.result(TENANT, job.id)["transcript"]["segments"]
    assert [segment for part in told for segment in part["segments"]] == published
    last = json.loads(seen[-1]["data"])
    reply = httpx.get(f"{address}/v1/jobs/{job.id}").json()
    assert last == reply and last["status"] == "completed"


def test_a_stream_is_not_kept_or_held_back_by_anything_on_its_way(
    connection: Cluster, address: str
) -> None:
    job = WatchedJob(connection)
    job.do_all()
    reply = httpx.get(at(address, job.id))
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-accel-buffering"] == "no"


def test_whoever_was_cut_off_sees_exactly_the_rest(connection: Cluster, address: str) -> None:
    job = WatchedJob(connection, chunks=10)

    async def body() -> tuple[list[Seen], list[Seen]]:
        async with client() as http:
            whole = asyncio.create_task(watch(http, at(address, job.id)))
            cut_off = asyncio.create_task(watch(http, at(address, job.id), count=4))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(job.prepare)
            for index in (0, 2, 1):
                await asyncio.to_thread(job.transcribe, index)
            seen = await cut_off
            for index in range(3, 10):
                await asyncio.to_thread(job.transcribe, index)
            rest = asyncio.create_task(watch(http, at(address, job.id), seen[-1]["id"]))
            await asyncio.to_thread(job.publish)
            return await whole, seen + await rest

    whole, seen = asyncio.run(body())
    assert seen == whole and len(whole) == 1 + 1 + 10 + 10 + 1 + 1


@pytest.mark.slow
def test_a_hundred_who_watch_see_the_same(connection: Cluster, address: str) -> None:
    job = WatchedJob(connection, chunks=20)

    async def body() -> list[list[Seen]]:
        async with client() as http:
            watching = [asyncio.create_task(watch(http, at(address, job.id))) for _ in range(100)]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(job.do_all)
            return await asyncio.gather(*watching)

    lists = asyncio.run(body())
    assert all(seen == lists[0] for seen in lists)
    assert len(lists[0]) == 44 and lists[0][-1]["event"] == "end"


@pytest.mark.slow
def test_who_reads_slowly_holds_nobody_up_and_misses_nothing(
    connection: Cluster, address: str
) -> None:
    job = WatchedJob(connection, chunks=40)
    job.prepare()
    text = "word " * 100_000  # far more than all buffers on the way hold

    def transcribe(index: int) -> None:
        segment = {"start": 0.0, "end": 1.0, "text": text}
        data = {"windows": [{"spans": [], "segments": [segment]}]}
        unit = job.unit(Stage.TRANSCRIBE, index)
        connection.store.put(connection.records.key(unit), encode(data))
        job.transcribe(index)

    async def body() -> tuple[list[Seen], list[Seen]]:
        async with client() as http, http.stream("GET", at(address, job.id)) as reply:
            stream = parsed(reply)
            slow = [await anext(stream)]
            quick = asyncio.create_task(watch(http, at(address, job.id)))
            for index in range(40):
                await asyncio.to_thread(transcribe, index)
            await asyncio.to_thread(job.publish)
            return await quick, slow + [event async for event in stream]

    quick, slow = asyncio.run(body())
    assert [event["id"] for event in slow] == [event["id"] for event in quick]
    assert slow == quick and len(quick) == 84


@pytest.mark.slow
def test_clients_that_vanish_leave_nothing_behind(
    connection: Cluster, address: str, hubs: list[Hub]
) -> None:
    job = WatchedJob(connection)
    httpx.get(f"{address}/healthz")
    loop = hubs[0]._loop
    process = psutil.Process()

    def left() -> int:
        assert loop is not None
        try:
            return len(asyncio.all_tasks(loop))
        except RuntimeError:  # changed while it was counted
            return 10_000

    async def body() -> None:
        async with client() as http:
            await asyncio.gather(*(watch(http, at(address, job.id), count=1) for _ in range(200)))

    asyncio.run(watch_once(address, job.id))
    assert eventually(lambda: not hubs[0]._watchers)
    tasks, files = left(), process.num_fds()
    asyncio.run(body())
    assert eventually(lambda: not hubs[0]._watchers and not hubs[0]._lists)
    assert eventually(lambda: left() <= tasks)
    # Each thread of the hub may have its own connection to Redis by now.
    assert eventually(lambda: process.num_fds() <= files + 2 + RENDERERS)


async def watch_once(address: str, job: str) -> None:
    async with client() as http:
        await watch(http, at(address, job), count=1)


def test_who_has_seen_the_end_is_told_that_there_is_no_more(
    connection: Cluster, address: str
) -> None:
    job = WatchedJob(connection)
    job.do_all()
    last = watched(at(address, job.id))[-1]
    requests: tuple[dict[str, Any], ...] = (
        {"headers": {"Last-Event-ID": last["id"]}},
        {"params": {"last_event_id": "1.end"}},
    )
    for request in requests:
        reply = httpx.get(at(address, job.id), **request)
        assert (reply.status_code, reply.content) == (204, b"")


def test_an_unknown_job_is_not_found(address: str) -> None:
    reply = httpx.get(at(address, "nobody"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_job")


@pytest.mark.parametrize("last", ["x", "1.1-1.1.1", "9" * 200, "1.99999999999999999999-0"])
def test_an_id_that_nobody_was_given_does_no_harm(
    connection: Cluster, address: str, last: str
) -> None:
    job = WatchedJob(connection)
    job.do_all()
    assert watched(at(address, job.id), last)[-1]["event"] == "end"


def test_a_key_is_needed_where_there_are_keys(settings: Settings, connection: Cluster) -> None:
    job = WatchedJob(connection)
    job.do_all()
    guarded = settings.model_copy(update={"api_key": SecretStr("sesame-open-the-door")})
    own = replace(connection, settings=guarded)
    with serving(own) as address:
        assert httpx.get(at(address, job.id)).status_code == 401
        headers = {"X-API-Key": "sesame-open-the-door"}
        assert httpx.get(at(address, job.id), headers=headers).status_code == 200


def test_a_stream_ends_with_its_key(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEY_SECONDS", 0.1)
    monkeypatch.setattr("orchestrator.access.keys.REMEMBERED_SECONDS", 0.1)
    job, keys = WatchedJob(connection), ApiKeys(connection.store, connection.settings)
    secret, key = keys.create(TENANT, "", frozenset({Scope.READ}))
    with (
        serving(connection) as address,
        httpx.stream(
            "GET",
            at(address, job.id),
            headers={"X-API-Key": secret},
            timeout=PATIENCE_SECONDS,
        ) as reply,
    ):
        lines = reply.iter_lines()
        assert next(lines).startswith("id: ")
        time.sleep(0.4)  # as long as the key is good, so is the stream
        assert keys.revoke(key.id)
        assert not any(line.startswith("event: end") for line in lines)


def test_a_tenant_opens_a_bounded_number_of_streams(
    settings: Settings, connection: Cluster
) -> None:
    few = replace(connection, settings=settings.model_copy(update={"tenant_streams": 1}))
    job = WatchedJob(few)
    with serving(few) as address, httpx.Client() as http:
        with http.stream("GET", at(address, job.id)):
            refused = httpx.get(at(address, job.id))
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "too_many_streams"
        job.do_all()
        assert eventually(lambda: httpx.get(at(address, job.id)).status_code == 200)


def test_one_too_many_is_asked_to_come_again(
    connection: Cluster, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_WATCHERS", 0)
    reply = httpx.get(at(address, WatchedJob(connection).id))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "too_many_watchers")
    assert int(reply.headers["retry-after"]) > 0


def test_a_quiet_stream_is_kept_alive(
    connection: Cluster, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.1)
    job = WatchedJob(connection)
    with httpx.stream("GET", at(address, job.id)) as reply:
        assert any(line.startswith(": ping") for line in reply.iter_lines())


def test_the_stream_of_a_deleted_job_ends(connection: Cluster, address: str) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Seen]:
        async with client() as http, http.stream("GET", at(address, job.id)) as reply:
            events = parsed(reply)
            seen = [await anext(events)]
            await asyncio.to_thread(job.delete)
            return seen + [event async for event in events]

    assert [event["event"] for event in asyncio.run(body())] == ["job"]


def test_a_server_that_stops_waits_for_no_stream(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", int(2 * PATIENCE_SECONDS))
    job = WatchedJob(connection)
    with serving(connection) as address, httpx.Client() as http:
        reply = http.send(http.build_request("GET", at(address, job.id)), stream=True)
        assert reply.status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE_SECONDS
    reply.close()


@pytest.mark.slow
def test_a_server_process_ends_with_streams_open(
    redis_url: str, settings: Settings, connection: Cluster
) -> None:
    job = WatchedJob(connection)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", SCRIPT),
            *(redis_url, str(settings.store_url), f"{2 * PATIENCE_SECONDS:.0f}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        with (
            httpx.Client(timeout=PATIENCE_SECONDS) as http,
            http.stream("GET", at(address, job.id)) as reply,
        ):
            lines = reply.iter_lines()
            assert next(lines) == "id: 1.0"
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert "event: job" in list(lines)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert time.monotonic() - began < PATIENCE_SECONDS
        assert process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_documentation_says_what_is_sent(address: str) -> None:
    document: dict[str, Any] = httpx.get(f"{address}/openapi.json").json()
    route = document["paths"]["/v1/jobs/{job}/events"]["get"]
    assert list(route["responses"]["200"]["content"]) == ["text/event-stream"]
    assert {"200", "204", "401", "404", "503"} <= set(route["responses"])
    assert {it["name"] for it in route["parameters"]} >= {"job", "Last-Event-ID", "last_event_id"}
