"""Everybody who watches is told everything, however late, slow or many they are."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from redis import Redis

from gpu_worker.errors import ScriptoriumError, StoreUnavailable
from orchestrator.cluster import hints
from orchestrator.cluster.connection import Cluster, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.events import Event, hub, renderer
from orchestrator.events.facts import FactsReader
from orchestrator.events.hub import Hub, ServerStopping, TooManyWatchers
from orchestrator.jobs.runs import cancel, retry
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.events.watched import WatchedJob

Result = TypeVar("Result")
WHOLE = ["job", "job", "job", "segments", "job", "segments", "job", "segments", "job", "end"]


def run(body: Coroutine[Any, Any, Result]) -> Result:
    async def limited() -> Result:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await body

    return asyncio.run(limited())


@asynccontextmanager
async def running(connection: Cluster) -> AsyncIterator[Hub]:
    """A hub that ends with the block, and leaves no thread behind."""
    before = set(threading.enumerate())
    opened = Hub(connection)
    opened.start(asyncio.get_running_loop())
    try:
        yield opened
    finally:
        opened.stop()
        assert not {it for it in threading.enumerate() if it.name == "hints"} - before


async def all_events(opened: Hub, job: str, last_event_id: str | None = None) -> list[Event]:
    return [event async for event in opened.events(TENANT, job, last_event_id)]


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def chunks(events: list[Event]) -> list[int]:
    return [json.loads(event.data)["chunk"] for event in events if event.kind == "segments"]


def test_a_job_that_has_ended_is_told_from_its_start(connection: Cluster) -> None:
    job = WatchedJob(connection)
    job.do_all()

    async def body() -> list[Event]:
        async with running(connection) as opened:
            return await all_events(opened, job.id)

    events = run(body())
    assert kinds(events) == WHOLE
    assert json.loads(events[3].data)["segments"][0]["text"] == "chunk 0"
    assert json.loads(events[-1].data)["status"] == "completed"


def test_events_come_while_the_job_runs(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            seen = [await anext(stream)]
            for step in (job.prepare, lambda: job.transcribe(0), lambda: job.give_up(2)):
                step()
                seen.append(await anext(stream))
            job.transcribe(1)
            job.publish()
            return seen + [event async for event in stream]

    events = run(body())
    assert kinds(events) == [*WHOLE[:4], "job", "job", "segments", "segments", "job", "end"]
    assert chunks(events) == [0, 1, 2]
    assert json.loads(events[7].data)["segments"] == []


def test_all_who_watch_see_the_same_from_wherever_they_came_in(connection: Cluster) -> None:
    job = WatchedJob(connection, chunks=20)

    async def body() -> list[list[Event]]:
        async with running(connection) as opened:
            early = [asyncio.create_task(all_events(opened, job.id)) for _ in range(50)]
            job.prepare()
            for index in reversed(range(10)):
                await asyncio.to_thread(job.transcribe, index)
            late = [asyncio.create_task(all_events(opened, job.id)) for _ in range(50)]
            for index in range(10, 20):
                await asyncio.to_thread(job.transcribe, index)
            job.publish()
            return await asyncio.gather(*early, *late)

    lists = run(body())
    assert len(lists[0]) == 1 + 1 + 20 + 20 + 1 + 1
    assert all(found == lists[0] for found in lists)
    assert chunks(lists[0]) == list(range(20))


def test_whoever_comes_back_sees_exactly_the_rest(connection: Cluster) -> None:
    job = WatchedJob(connection)
    job.do_all()

    async def body() -> None:
        async with running(connection) as opened:
            whole = await all_events(opened, job.id)
            for place, event in enumerate(whole):
                assert await all_events(opened, job.id, event.id) == whole[place + 1 :]
            assert await all_events(opened, job.id, "7.end") == whole
            assert await all_events(opened, job.id, "no id") == whole
            assert kinds(await all_events(opened, job.id, "1.5000000000000-0")) == ["end"]

    run(body())


def test_an_id_ahead_of_all_events_waits_for_what_follows_on_it(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            job.prepare()
            watching = asyncio.create_task(all_events(opened, job.id, "1.5000000000000-0"))
            await asyncio.sleep(0.2)
            job.transcribe(0)
            job.publish()
            return await watching

    assert [event.id for event in run(body())] == ["1.end.1", "1.end.2", "1.end"]


def test_two_processes_tell_the_same(connection: Cluster) -> None:
    job = WatchedJob(connection, chunks=5)

    async def body() -> tuple[list[Event], list[Event]]:
        async with running(connection) as one:
            live = asyncio.create_task(all_events(one, job.id))
            await asyncio.to_thread(job.do_all)
            before = await live
        async with running(connection) as other:
            return before, await all_events(other, job.id)

    before, after = run(body())
    assert [event.wire for event in before] == [event.wire for event in after]


def test_a_slow_reader_holds_nobody_up_and_misses_nothing(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> tuple[list[Event], list[Event]]:
        async with running(connection) as opened:
            slow = opened.events(TENANT, job.id)
            seen = [await anext(slow)]
            quick = asyncio.create_task(all_events(opened, job.id))
            await asyncio.to_thread(job.do_all)
            whole = await quick
            return whole, seen + [event async for event in slow]

    whole, seen = run(body())
    assert whole == seen and kinds(whole) == WHOLE


def test_a_great_many_events_come_in_pieces(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.events.watchers.BATCH_CHARACTERS", 500)
    monkeypatch.setattr(renderer, "FLUSH_SECONDS", 0.0)
    job = WatchedJob(connection)
    job.do_all()

    async def body() -> list[int]:
        async with running(connection) as opened:
            watcher = await opened.open(TENANT, job.id)
            return [len(batch) async for batch in watcher]

    sizes = run(body())
    assert sum(sizes) == len(WHOLE) and len(sizes) > 3


def test_an_unknown_job_is_told_to_nobody(connection: Cluster) -> None:
    async def body() -> None:
        async with running(connection) as opened:
            for _ in range(2):
                with pytest.raises(UnknownJob):
                    await anext(opened.events(TENANT, "nobody"))
            with pytest.raises(UnknownJob):
                await opened.ended(TENANT, "nobody", 5)

    run(body())


def test_a_deleted_job_ends_its_watchers(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> None:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            waiting = asyncio.create_task(opened.ended(TENANT, job.id))
            await asyncio.sleep(0)
            job.delete()
            for answer in (anext(stream), waiting):
                with pytest.raises(UnknownJob):
                    await answer

    run(body())


def test_a_job_that_nobody_watches_is_not_read(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, reads = WatchedJob(connection), []
    read = FactsReader.read

    def counted(reader: FactsReader, tenant: str, job: str, run: int) -> Any:
        reads.append(job)
        return read(reader, tenant, job, run)

    monkeypatch.setattr(FactsReader, "read", counted)

    async def body() -> int:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            await stream.aclose()
            await asyncio.sleep(0.3)
            assert not opened._lists and not opened._watchers
            reads.clear()
            await asyncio.to_thread(job.do_all)
            await asyncio.sleep(0.3)
            return len(reads)

    assert run(body()) == 0


@pytest.mark.slow
def test_a_burst_is_rendered_once_or_twice_whoever_watches(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, reads, may_read = WatchedJob(connection, chunks=100), [], list[float]()
    read = FactsReader.read

    def counted(reader: FactsReader, tenant: str, job: str, run: int) -> Any:
        reads.append(job)
        return read(reader, tenant, job, run)

    monkeypatch.setattr(FactsReader, "read", counted)
    monkeypatch.setattr(hub, "PAUSE_SECONDS", 0.5)

    async def body() -> list[list[Event]]:
        async with running(connection) as opened:
            watching = [asyncio.create_task(all_events(opened, job.id)) for _ in range(20)]
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await asyncio.to_thread(job.do_all)
            found = await asyncio.gather(*watching)
            may_read.append(10 + (time.monotonic() - began) / hub.PAUSE_SECONDS)
            return found

    lists = run(body())
    assert {len(found) for found in lists} == {1 + 1 + 100 + 100 + 1 + 1}
    assert len(reads) < may_read[0]  # a slow machine pauses more often


def test_the_end_can_be_waited_for_without_reading_any_text(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(FactsReader, "text", None)

    async def body() -> None:
        async with running(connection) as opened:
            with pytest.raises(TimeoutError):
                await opened.ended(TENANT, job.id, 0.2)
            waiting = [asyncio.create_task(opened.ended(TENANT, job.id, 20)) for _ in range(5)]
            await asyncio.sleep(0.1)
            await asyncio.to_thread(job.do_all)
            ended = await asyncio.gather(*waiting)
            assert {one.status for one in ended} == {Status.COMPLETED}
            assert await opened.ended(TENANT, job.id) == ended[0]

    run(body())


def test_whoever_reads_while_others_wait_for_the_end_is_told_everything(
    connection: Cluster,
) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            waiting = asyncio.create_task(opened.ended(TENANT, job.id))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(job.do_all)
            assert (await waiting).status is Status.COMPLETED
            return await all_events(opened, job.id)

    assert kinds(run(body())) == WHOLE


def test_a_canceled_job_ends(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            watching = asyncio.create_task(all_events(opened, job.id))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(cancel, connection, TENANT, job.id)
            return await watching

    assert kinds(run(body())) == ["job", "end"]


def test_the_next_run_is_told_anew_and_the_last_one_to_its_end(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> None:
        async with running(connection) as opened:
            slow = opened.events(TENANT, job.id)
            await anext(slow)
            job.prepare()
            job.publish(error=True)
            await opened.ended(TENANT, job.id)
            await asyncio.to_thread(retry, connection, TENANT, job.id)
            first = [event async for event in slow]
            assert [event.id.split(".")[0] for event in first] == ["1"] * 3
            assert json.loads(first[-1].data)["status"] == "failed"
            next_run = opened.events(TENANT, job.id, first[-1].id)
            assert (await anext(next_run)).id == "2.0"
            for index in range(3):
                job.transcribe(index, run=2)
            job.publish(run=2)
            rest = [event async for event in next_run]
            assert chunks(rest) == [0, 1, 2] and rest[-1].id == "2.end"
            assert (await opened.ended(TENANT, job.id)).run == 2

    run(body())


def test_a_list_that_is_still_held_is_shared_until_the_next_run(connection: Cluster) -> None:
    job = WatchedJob(connection)
    job.prepare()
    job.publish(error=True)

    async def body() -> None:
        async with running(connection) as opened:
            slow = await opened.open(TENANT, job.id)
            await opened.ended(TENANT, job.id)
            same = await opened.open(TENANT, job.id)
            assert same.source is slow.source
            await asyncio.to_thread(retry, connection, TENANT, job.id)
            other = await opened.open(TENANT, job.id)
            assert (slow.source.run, other.source.run) == (1, 2)
            for watcher in (slow, same, other, other):
                opened.close(watcher)
            assert not opened._lists

    run(body())


def test_a_run_that_ended_unseen_is_told_to_its_end_after_a_retry(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hub, "PAUSE_SECONDS", 0.5)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            await asyncio.sleep(0.1)
            job.publish(error=True)
            await asyncio.to_thread(retry, connection, TENANT, job.id)
            return [event async for event in stream]

    assert run(body())[-1].id == "1.end"


def test_a_watcher_after_a_retry_gets_the_next_run_though_the_end_of_the_last_is_not_told_yet(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hub, "PAUSE_SECONDS", 0.5)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            await asyncio.to_thread(cancel, connection, TENANT, job.id)
            await asyncio.to_thread(retry, connection, TENANT, job.id)
            other = await opened.open(TENANT, job.id)
            assert other.source.run == 2
            opened.close(other)
            return [event async for event in stream]

    assert run(body())[-1].id == "1.end"


def test_who_watched_before_a_retry_is_told_the_end_though_its_hint_was_lost(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hints, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(hub, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(Hub, "_hear", lambda *_: None)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            with monkeypatch.context() as patched:
                patched.setattr(Hub, "_look", lambda _: None)
                await asyncio.to_thread(cancel, connection, TENANT, job.id)
                await asyncio.to_thread(retry, connection, TENANT, job.id)
                other = await opened.open(TENANT, job.id)
            seen = [event async for event in stream]
            opened.close(other)
            return seen

    assert run(body())[-1].id == "1.end"


def test_who_watched_before_a_retry_is_told_too_that_the_server_stops(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hub, "PAUSE_SECONDS", 2 * PATIENCE_SECONDS)  # the end is not told before

    async def body() -> None:
        async with running(connection) as opened:
            watcher = await opened.open(TENANT, job.id)
            await anext(watcher)
            await asyncio.to_thread(cancel, connection, TENANT, job.id)
            await asyncio.to_thread(retry, connection, TENANT, job.id)
            await opened.open(TENANT, job.id)
            opened.stop()
            with pytest.raises(ServerStopping):
                await anext(watcher)

    run(body())


def test_a_lost_hint_is_made_up_for(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hints, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(hub, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(Hub, "_hear", lambda *_: None)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            watching = asyncio.create_task(all_events(opened, job.id))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(job.do_all)
            return await watching

    assert kinds(run(body())) == WHOLE


def test_after_a_wipe_what_was_told_is_not_told_again(connection: Cluster, redis: Redis) -> None:
    job = WatchedJob(connection)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            seen: list[Event] = []

            async def watch() -> None:
                async for event in opened.events(TENANT, job.id):
                    seen.append(event)

            watching = asyncio.create_task(watch())
            job.prepare()
            job.transcribe(0)
            await until(lambda: len(seen) == 4)
            redis.flushall()
            connection.redis.publish("scriptorium:changed", f"{TENANT}/{job.id}")
            await asyncio.sleep(0.3)
            assert len(seen) == 4
            await asyncio.to_thread(connection.job, TENANT, job.id)
            await asyncio.to_thread(job.do_all)
            await watching
            return seen

    events = run(body())
    assert chunks(events) == [0, 1, 2]
    assert len({event.id for event in events}) == len(events)


def test_a_store_that_is_away_for_a_while_is_waited_for(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, faults = WatchedJob(connection), 2
    monkeypatch.setattr(hints, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(hub, "LOOK_SECONDS", 0.1)
    text = FactsReader.text

    def faulty(reader: FactsReader, *args: Any) -> Any:
        nonlocal faults
        if faults:
            faults -= 1
            raise StoreUnavailable
        return text(reader, *args)

    monkeypatch.setattr(FactsReader, "text", faulty)

    async def body() -> list[Event]:
        async with running(connection) as opened:
            watching = asyncio.create_task(all_events(opened, job.id))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(job.do_all)
            return await watching

    assert kinds(run(body())) == WHOLE


def test_a_store_that_is_away_at_the_start_is_reported(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise StoreUnavailable

    monkeypatch.setattr(FactsReader, "newest_run", away)

    async def body() -> None:
        async with running(connection) as opened:
            with pytest.raises(StoreUnavailable):
                await opened.open(TENANT, "job-1")

    run(body())


def test_a_fault_of_ours_ends_the_stream_and_is_logged(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    job.prepare()

    def broken(*_: object) -> Any:
        raise KeyError("windows")

    monkeypatch.setattr(FactsReader, "text", broken)

    async def body() -> None:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            await asyncio.to_thread(job.transcribe, 0)
            with pytest.raises(ScriptoriumError, match="wrong"):
                [event async for event in stream]

    run(body())


def test_there_is_a_limit_to_how_many_watch(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = WatchedJob(connection)
    monkeypatch.setattr(hub, "MOST_WATCHERS", 3)

    async def body() -> None:
        async with running(connection) as opened:
            answers = await asyncio.gather(
                *(opened.open(TENANT, job.id) for _ in range(5)), return_exceptions=True
            )
            refused = [it for it in answers if isinstance(it, TooManyWatchers)]
            assert len(refused) == 2
            opened.close(next(it for it in answers if not isinstance(it, BaseException)))
            await opened.open(TENANT, job.id)

    run(body())


def test_a_hub_that_stops_ends_its_streams_and_takes_no_more(connection: Cluster) -> None:
    job = WatchedJob(connection)

    async def body() -> None:
        async with running(connection) as opened:
            stream = opened.events(TENANT, job.id)
            await anext(stream)
            waiting: Awaitable[Any] = asyncio.create_task(opened.ended(TENANT, job.id))
            await asyncio.sleep(0.1)
            opened.stop()
            for answer in (anext(stream), waiting, opened.open(TENANT, job.id)):
                with pytest.raises(ServerStopping):
                    await answer

    run(body())
