"""What is owed is delivered at least once, in ten tries at most, also if processes die."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from gpu_worker.transcript import Segment, Transcript, transcript_to_json
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Status
from orchestrator.cluster.job_index import JobIndex
from orchestrator.jobs.runs import cancel, retry
from orchestrator.outbox import courier, delivery, webhooks
from orchestrator.outbox.circuit import OPEN_AFTER
from orchestrator.outbox.courier import Courier
from orchestrator.outbox.delivery import OUTPUT, WEBHOOK, deliver
from orchestrator.outbox.schedule import DELAYS, DONE, KEPT_SECONDS, Step
from orchestrator.outbox.webhooks import webhook_pool, webhook_secret
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Output
from tasks.runs.records import result_record
from tasks.runs.units import Run
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.inputs.examples import JOB, TENANT, a_manifest, a_run, write_records
from tests.servers.receiver import Receiver
from tests.unit.orchestrator.reconciler.passes import restore

RUN = a_run()
TRANSCRIPT = transcript_to_json(Transcript("en", 2.0, (Segment(0.5, 1.5, "Good day."),)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@contextmanager
def connected(settings: Settings, receiver: Receiver | None, **changes: Any) -> Iterator[Cluster]:
    """A cluster that may speak to the receiver and does not wait between tries."""
    values: dict[str, Any] = {
        "allow_urls": True,
        "webhook_key": SecretStr("the cluster's key"),
        "trusted_hosts": receiver.place if receiver else "",
        "redelivery_factor": 0.0,
    }
    opened = open_cluster(settings.model_copy(update=values | changes))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def cluster(settings: Settings, redis: Redis, receiver: Receiver) -> Iterator[Cluster]:
    with connected(settings, receiver) as opened:
        yield opened


def owing(url: str | None = None, output: Output | None = None) -> Manifest:
    return a_manifest().model_copy(update={"webhook_url": url, "output": output})


def end(connection: Cluster, manifest: Manifest, run: Run = RUN, **result: Any) -> None:
    """The run gets its result, as `assemble` would publish it, and is settled."""
    write_records(connection.store, manifest)
    connection.store.put(keys.open_run(run), b"")
    connection.jobs.add(manifest, run)
    record = result_record(**(result or {"transcript": TRANSCRIPT}))
    connection.store.put(keys.of_run(run, keys.RESULT), encode(record))
    connection.settle(run)


def record(connection: Cluster, part: str, run: Run = RUN) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(connection.store.get(keys.delivered(run, part)))
    return data


def steps(connection: Cluster, run: Run = RUN) -> list[float]:
    """The delays between all steps until nothing is owed."""
    found: list[float] = []
    with webhook_pool(connection.settings) as pool:
        while (delay := deliver(connection, run, lambda: pool).delay_seconds) is not None:
            found.append(delay)
    return found


def counted(name: str, **labels: str) -> float:
    """The value of one of our counters in this process."""
    found = REGISTRY.get_sample_value(f"scriptorium_{name}_total", labels)
    assert found is not None
    return found


def tries(connection: Cluster, part: str, run: Run = RUN) -> int:
    return len(list(connection.store.list(keys.tries(run, part))))


@contextmanager
def working(*couriers: Courier) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=it.run, args=(stop,)) for it in couriers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def is_owed(connection: Cluster, run: Run = RUN) -> bool:
    return connection.store.size(keys.owed(run)) is not None


def test_a_job_that_nobody_waits_for_owes_nothing(cluster: Cluster) -> None:
    end(cluster, owing())
    assert not is_owed(cluster)
    assert steps(cluster) == []


def test_what_is_owed_is_written_before_the_run_is_closed(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying right after it leaves the run open: it is settled again, and owes that once."""
    manifest = owing(receiver.url)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(cluster.jobs), "close", die)
    with pytest.raises(KeyboardInterrupt):
        end(cluster, manifest)
    assert is_owed(cluster)
    monkeypatch.undo()
    cluster.outbox.restore()  # as an audit does
    assert cluster.outbox.take(8, 30.0) == [RUN]
    monkeypatch.setattr(type(cluster.outbox), "put", die)
    cluster.store.put(keys.open_run(RUN), b"")
    with pytest.raises(KeyboardInterrupt):
        cluster.settle(RUN)
    assert cluster.store.size(keys.open_run(RUN)) == 0


def test_a_receiver_is_told_once_the_job_is_seen_to_have_ended(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = owing(receiver.url)
    write_records(cluster.store, manifest)
    cluster.store.put(keys.open_run(RUN), b"")
    cluster.jobs.add(manifest, RUN)
    close, due = JobIndex.close, list[Run]()

    def look_first(*args: Any) -> None:
        due.extend(cluster.outbox.take(8, 30.0))
        close(*args)

    monkeypatch.setattr(JobIndex, "close", look_first)
    assert cancel(cluster, TENANT, JOB).status is Status.CANCELED
    assert due == []
    assert cluster.outbox.take(8, 30.0) == [RUN]


def test_a_run_that_is_settled_again_later_is_not_told_twice(
    cluster: Cluster, receiver: Receiver
) -> None:
    end(cluster, owing(receiver.url))
    with working(Courier(cluster)):
        assert eventually(lambda: not is_owed(cluster))
        cluster.settle(RUN)
        cluster.outbox.add(RUN)  # by a process that looked before it was delivered
        assert eventually(lambda: not is_owed(cluster))
    assert len(receiver.received) == 1


def test_a_receiver_hears_of_the_end_once(cluster: Cluster, receiver: Receiver) -> None:
    before = counted("delivery_tries", kind="webhook", outcome="answered")
    end(cluster, owing(receiver.url))
    with working(Courier(cluster)):
        assert eventually(lambda: not is_owed(cluster))
    assert counted("delivery_tries", kind="webhook", outcome="answered") == before + 1
    (told,) = receiver.received
    said = told.verified(webhook_secret(cluster.settings, TENANT))
    assert (said["type"], said["data"]["id"]) == ("job.completed", JOB)
    assert record(cluster, WEBHOOK)["status"] == "delivered"
    assert record(cluster, WEBHOOK)["tries"] == 1


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ({"error": {"code": "unreadable_audio", "message": "No."}}, "job.failed"),
        ({"canceled": True}, "job.canceled"),
        ({"transcript": TRANSCRIPT, "missing": [{"start": 0}]}, "job.partial"),
    ],
)
def test_every_end_is_told(
    cluster: Cluster, receiver: Receiver, result: dict[str, Any], kind: str
) -> None:
    end(cluster, owing(receiver.url), **result)
    assert steps(cluster) == []
    assert json.loads(receiver.received[0].body)["type"] == kind


def test_a_canceled_job_is_told_and_so_is_its_next_run(
    cluster: Cluster, receiver: Receiver
) -> None:
    manifest = owing(receiver.url)
    write_records(cluster.store, manifest)
    cluster.store.put(keys.source(TENANT, "ab"), b"talk")
    cluster.store.put(keys.open_run(RUN), b"")
    cluster.jobs.add(manifest, a_run())
    cancel(cluster, TENANT, JOB)
    assert steps(cluster) == []
    retry(cluster, TENANT, JOB)
    following = a_run(2)
    cluster.store.put(
        keys.of_run(following, keys.RESULT), encode(result_record(transcript=TRANSCRIPT))
    )
    cluster.settle(following)
    assert steps(cluster, following) == []
    told = [json.loads(told.body) for told in receiver.received]
    assert [(said["type"], said["data"]["run"]) for said in told] == [
        ("job.canceled", 1),
        ("job.completed", 2),
    ]
    assert len({told.id for told in receiver.received}) == 2


@pytest.mark.slow
def test_an_error_of_the_receiver_is_tried_again_with_the_same_message(
    settings: Settings, redis: Redis
) -> None:
    with (
        Receiver(500, 503, 429, 200) as receiver,
        connected(settings, receiver) as cluster,
        working(Courier(cluster)),
    ):
        end(cluster, owing(receiver.url))
        assert eventually(lambda: not is_owed(cluster))
        assert len(receiver.received) == 4
        assert len({(told.id, told.body) for told in receiver.received}) == 1
        for told in receiver.received:
            told.verified(webhook_secret(cluster.settings, TENANT))
        assert record(cluster, WEBHOOK)["tries"] == 4


def test_between_the_tries_it_waits(settings: Settings, redis: Redis) -> None:
    with Receiver(500) as receiver, connected(settings, receiver, redelivery_factor=1.0) as cluster:
        end(cluster, owing(receiver.url))
        with webhook_pool(cluster.settings) as pool:
            assert deliver(cluster, RUN, lambda: pool) == Step(DELAYS[0], has_answered=False)
            assert deliver(cluster, RUN, lambda: pool) == Step(None, has_answered=True)


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_a_refusal_is_the_end_of_it(settings: Settings, redis: Redis, status: int) -> None:
    with Receiver(status) as receiver, connected(settings, receiver) as cluster:
        end(cluster, owing(receiver.url))
        assert steps(cluster) == []
        assert len(receiver.received) == 1
        assert record(cluster, WEBHOOK)["status"] == "failed"
        assert str(status) in record(cluster, WEBHOOK)["error"]


def test_it_is_tried_ten_times_and_then_given_up(settings: Settings, redis: Redis) -> None:
    with Receiver(*[500] * 30) as receiver, connected(settings, receiver) as cluster:
        end(cluster, owing(receiver.url))
        with working(Courier(cluster)):
            assert eventually(lambda: not is_owed(cluster))
        assert len(receiver.received) == 10
        assert record(cluster, WEBHOOK) | {"ended_at": 0} == {
            "status": "failed",
            "tries": 10,
            "error": "The receiver answered 500.",
            "ended_at": 0,
        }


@pytest.mark.slow
def test_a_try_that_kills_its_process_counts_too(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(cluster, owing(receiver.url))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "send", die)
    for _ in range(10):
        with pytest.raises(KeyboardInterrupt):
            steps(cluster)
    assert steps(cluster) == []
    assert record(cluster, WEBHOOK)["status"] == "failed"
    assert tries(cluster, WEBHOOK) == 10


def test_dying_between_a_try_and_its_record_repeats_it_with_the_same_id(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(cluster, owing(receiver.url))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "_record", die)
    with pytest.raises(KeyboardInterrupt):
        steps(cluster)
    monkeypatch.undo()
    assert is_owed(cluster)
    assert steps(cluster) == []
    assert len(receiver.received) == 2
    assert len({told.id for told in receiver.received}) == 1


@pytest.mark.slow
def test_a_courier_that_died_leaves_its_work_to_the_next_one(
    settings: Settings, redis: Redis, receiver: Receiver
) -> None:
    with connected(settings, receiver, lease_seconds=1.0, heartbeat_seconds=0.5) as cluster:
        end(cluster, owing(receiver.url))
        assert cluster.outbox.take(8, cluster.settings.lease_seconds) == [RUN]  # and dies
        with working(Courier(cluster)):
            assert eventually(lambda: not is_owed(cluster))
    assert len(receiver.received) == 1


def test_two_that_count_the_same_try_do_not_both_make_it(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(cluster, owing(receiver.url))
    put = cluster.store.put
    monkeypatch.setattr(
        cluster.store, "put", lambda key, data: "/delivery/" not in key and put(key, data)
    )
    with webhook_pool(cluster.settings) as pool:
        assert deliver(cluster, RUN, lambda: pool) == Step(delivery.BUSY_SECONDS)
    assert receiver.received == []


def test_redis_may_be_wiped(cluster: Cluster, receiver: Receiver) -> None:
    cluster.jobs.restored()
    end(cluster, owing(receiver.url))
    cluster.redis.flushall()
    assert cluster.outbox.take(8, 0.0) == []
    restore(cluster)
    with working(Courier(cluster)):
        assert eventually(lambda: not is_owed(cluster))
    assert len(receiver.received) == 1
    cluster.redis.flushall()
    restore(cluster)  # it settles what has ended; that is not told again
    assert not is_owed(cluster)


def test_another_s_reconciler_leaves_what_others_owe_alone(
    cluster: Cluster, receiver: Receiver
) -> None:
    end(cluster, owing(receiver.url))
    cluster.redis.flushall()
    restore(cluster, adopt=False)
    assert cluster.outbox.take(8, 0.0) == []


@pytest.mark.slow
def test_two_couriers_share_the_work(cluster: Cluster, receiver: Receiver) -> None:
    jobs = [f"job-{number}" for number in range(20)]
    for job in jobs:
        manifest = owing(receiver.url).model_copy(update={"job": job})
        end(cluster, manifest, a_run(job=job))
    with working(Courier(cluster), Courier(cluster)):
        assert eventually(lambda: list(cluster.store.list(keys.OUTBOX)) == [])
    told = [json.loads(told.body)["data"]["id"] for told in receiver.received]
    assert sorted(told) == sorted(jobs)


@pytest.mark.slow
def test_a_slow_receiver_holds_up_nobody_else(
    settings: Settings, redis: Redis, receiver: Receiver
) -> None:
    answer = threading.Event()
    with Receiver() as slow:
        slow.before_answer = lambda: answer.wait(PATIENCE_SECONDS)
        trusted = f"{receiver.place},{slow.place}"
        with (
            connected(
                settings, receiver, trusted_hosts=trusted, lease_seconds=1.0, heartbeat_seconds=0.5
            ) as cluster,
            working(Courier(cluster)),
        ):
            kept_waiting = owing(slow.url).model_copy(update={"job": "slow"})
            end(cluster, kept_waiting, a_run(job="slow"))
            assert eventually(lambda: len(slow.received) == 1)
            end(cluster, owing(receiver.url))
            assert eventually(lambda: len(receiver.received) == 1)
            assert eventually(lambda: not is_owed(cluster))
            answer.wait(1.5)  # longer than the lease: it is held for as long as we live
            assert len(slow.received) == 1
            answer.set()
            assert eventually(lambda: not is_owed(cluster, a_run(job="slow")))


@pytest.mark.slow
def test_a_full_courier_takes_no_more(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "THREADS", 1)  # a courier of one thread
    answer = threading.Event()
    receiver.before_answer = lambda: answer.wait(PATIENCE_SECONDS)
    for job in ("first", "second"):
        manifest = owing(receiver.url).model_copy(update={"job": job})
        end(cluster, manifest, a_run(job=job))
    with working(Courier(cluster)):
        assert eventually(lambda: len(receiver.received) == 1)
        answer.wait(1.2)
        assert len(receiver.received) == 1
        answer.set()
        assert eventually(lambda: len(receiver.received) == 2)


@pytest.mark.slow
def test_a_courier_outlives_what_it_meets(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Exception] = [ValueError("a bug"), ConnectionError("x")]
    take, real = type(cluster.outbox).take, delivery.deliver

    def unsteady(*arguments: Any) -> Any:
        if faults:
            raise faults.pop(0)
        return take(*arguments)

    broken: list[Exception] = [ValueError("a bug"), cluster_away()]

    def broken_first(*arguments: Any, **named: Any) -> Any:
        if broken:
            raise broken.pop(0)
        return real(*arguments, **named)

    monkeypatch.setattr(type(cluster.outbox), "take", unsteady)
    monkeypatch.setattr(courier, "FAULT_SECONDS", 0.1)
    end(cluster, owing(receiver.url))
    with working(Courier(cluster, step=broken_first)):
        assert eventually(lambda: not is_owed(cluster))
    assert (faults, broken) == ([], [])


def cluster_away() -> Exception:
    from gpu_worker.errors import StoreUnavailable

    return StoreUnavailable("away")


SILENT = 40  # receivers, or runs, that say nothing


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent receiver is waited for much longer than a test waits for a delivery."""
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 10 * PATIENCE_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("tenants", [1, 4])
@pytest.mark.parametrize("receivers", [1, SILENT])
def test_another_tenant_s_silent_receivers_delay_no_webhook(
    settings: Settings,
    redis: Redis,
    receiver: Receiver,
    patient: None,
    tenants: int,
    receivers: int,
) -> None:
    """Real sockets that accept and never answer, one or many, of one tenant or several."""
    with ExitStack() as opened:
        holes = [socket.create_server(("127.0.0.1", 0)) for _ in range(receivers)]
        places = [f"127.0.0.1:{hole.getsockname()[1]}" for hole in holes]
        hosts = ",".join([receiver.place, *places])
        cluster = opened.enter_context(connected(settings, receiver, trusted_hosts=hosts))
        for number in range(SILENT * tenants):
            url = f"http://{places[number % receivers]}/told"
            job, tenant = f"job-{number:04d}", f"silent-{number % tenants}"
            manifest = owing(url).model_copy(update={"job": job, "tenant": tenant})
            end(cluster, manifest, Run(tenant, job, 1))
        opened.enter_context(working(Courier(cluster)))
        for hole in holes:  # these are called first, so that the courier ends at once
            opened.callback(hole.close)
        time.sleep(1.0)  # the silent ones have their threads
        end(cluster, owing(receiver.url))
        assert eventually(lambda: len(receiver.received) == 1)


@pytest.mark.slow
def test_a_silent_receiver_does_not_delay_its_own_tenant_s_other_ones(
    settings: Settings, redis: Redis, receiver: Receiver, patient: None
) -> None:
    with ExitStack() as opened:
        hole = socket.create_server(("127.0.0.1", 0))
        place = f"127.0.0.1:{hole.getsockname()[1]}"
        hosts = f"{receiver.place},{place}"
        cluster = opened.enter_context(connected(settings, receiver, trusted_hosts=hosts))
        for number in range(SILENT):
            manifest = owing(f"http://{place}/told").model_copy(update={"job": f"many-{number}"})
            end(cluster, manifest, a_run(job=f"many-{number}"))
        end(cluster, owing(receiver.url))
        opened.enter_context(working(Courier(cluster)))
        opened.callback(hole.close)
        assert eventually(lambda: len(receiver.received) == 1)


def test_a_courier_that_ends_gives_back_what_it_has_not_begun(
    settings: Settings, redis: Redis, receiver: Receiver
) -> None:
    with connected(settings, receiver) as cluster:
        own = Courier(cluster)
        receiver.before_answer = lambda: eventually(lambda: own._is_ending)
        for number in range(5):
            manifest = owing(receiver.url).model_copy(update={"job": f"many-{number}"})
            end(cluster, manifest, a_run(job=f"many-{number}"))
        with working(own):
            assert eventually(lambda: len(receiver.received) > 0)
        left = cluster.outbox.take(10, 30.0)
    assert left and len(left) + len(receiver.received) == 5


def test_the_deliveries_of_a_dead_receiver_wait_together_and_arrive_when_it_answers(
    settings: Settings, redis: Redis, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "SPREAD_SECONDS", 0.0)
    monkeypatch.setattr(courier, "QUICK_SECONDS", 0.0)  # one try at a time
    receiver._statuses.extend([500] * OPEN_AFTER)
    tried: list[float] = []
    receiver.before_answer = lambda: tried.append(time.monotonic())
    with connected(settings, receiver, redelivery_factor=0.1) as cluster:
        for number in range(2 * OPEN_AFTER):
            manifest = owing(receiver.url).model_copy(update={"job": f"many-{number}"})
            end(cluster, manifest, a_run(job=f"many-{number}"))
        with working(Courier(cluster)):
            runs = [a_run(job=f"many-{number}") for number in range(2 * OPEN_AFTER)]
            assert eventually(lambda: not any(is_owed(cluster, run) for run in runs))
        assert {record(cluster, WEBHOOK, run)["status"] for run in runs} == {"delivered"}
    assert tried[OPEN_AFTER] - tried[OPEN_AFTER - 1] > 1.5  # the pause is 3 s


def test_what_has_waited_for_a_dead_receiver_for_days_is_given_up(
    cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(cluster, owing(receiver.url))
    with webhook_pool(cluster.settings) as pool:
        step = deliver(cluster, RUN, lambda: pool, may_try=False)
        assert (step.delay_seconds, step.has_answered) == (delivery.BUSY_SECONDS, None)
        later = time.time() + KEPT_SECONDS + 1
        monkeypatch.setattr(time, "time", lambda: later)
        assert deliver(cluster, RUN, lambda: pool, may_try=False) == Step()
    told = record(cluster, WEBHOOK)
    assert (told["status"], told["tries"]) == ("failed", 0)
    assert "three days" in told["error"]
    assert receiver.received == []


@pytest.mark.parametrize(("status", "told"), [(200, "delivered"), (503, "failed")])
def test_after_days_without_a_courier_what_is_owed_has_one_more_try(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, status: int, told: str
) -> None:
    with Receiver(status) as receiver, connected(settings, receiver) as cluster:
        end(cluster, owing(receiver.url))
        cluster.store.put(keys.tries(RUN, WEBHOOK) + "1", b"")
        later = time.time() + KEPT_SECONDS + 1
        monkeypatch.setattr(time, "time", lambda: later)
        with webhook_pool(cluster.settings) as pool:
            assert deliver(cluster, RUN, lambda: pool).delay_seconds is None
        assert (record(cluster, WEBHOOK)["status"], len(receiver.received)) == (told, 1)


def test_a_deleted_job_owes_nothing(cluster: Cluster, receiver: Receiver) -> None:
    end(cluster, owing(receiver.url))
    cluster.store.delete(keys.owed(RUN))
    with working(Courier(cluster)):
        assert eventually(lambda: cluster.redis.zcard("scriptorium:outbox") == 0)
    assert receiver.received == []


@pytest.mark.slow
def test_the_files_are_there_before_anybody_is_told(
    settings: Settings,
    redis: Redis,
    receiver: Receiver,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
) -> None:
    found: list[list[str]] = []

    def look() -> None:
        listed = s3_shared_client.list_objects_v2(Bucket=bucket).get("Contents", ())
        found.append([item["Key"] for item in listed])

    receiver.before_answer = look
    with connected(settings, receiver, s3_endpoint_url=s3_endpoint) as cluster:
        output = Output(url=f"s3://{bucket}/talks/one", formats=("json", "srt"))
        end(cluster, owing(receiver.url, output))
        assert steps(cluster) == [0.0]
        assert record(cluster, OUTPUT)["status"] == record(cluster, WEBHOOK)["status"]
    assert found == [["talks/one.json", "talks/one.srt"]]


def test_a_bucket_that_is_not_there_is_recorded_and_the_receiver_told_all_the_same(
    settings: Settings, redis: Redis, receiver: Receiver, s3_endpoint: str
) -> None:
    before = {kind: counted("deliveries_given_up", kind=kind) for kind in (OUTPUT, WEBHOOK)}
    with connected(settings, receiver, s3_endpoint_url=s3_endpoint) as cluster:
        end(cluster, owing(receiver.url, Output(url="s3://nowhere-at-all/one")))
        with webhook_pool(cluster.settings) as pool:
            assert deliver(cluster, RUN, lambda: pool).kind == OUTPUT
            assert deliver(cluster, RUN, lambda: pool).kind == WEBHOOK
        assert counted("deliveries_given_up", kind=OUTPUT) == before[OUTPUT] + 1
        assert counted("deliveries_given_up", kind=WEBHOOK) == before[WEBHOOK]
        assert record(cluster, OUTPUT)["status"] == "failed"
        assert "nowhere-at-all" in record(cluster, OUTPUT)["error"]
        assert len(receiver.received) == 1


def test_a_store_of_outputs_that_is_away_is_tried_ten_times(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[int] = []

    def away(*_: object) -> None:
        written.append(1)
        if len(written) < 3:
            raise cluster_away()

    monkeypatch.setattr(delivery, "write_outputs", away)
    with connected(settings, None) as cluster:
        end(cluster, owing(None, Output(url="s3://bucket/one")))
        assert steps(cluster) == [0.0, 0.0]
        assert record(cluster, OUTPUT)["tries"] == 3
    assert DONE.done
