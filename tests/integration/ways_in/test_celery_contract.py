"""Another team's Celery application submits to a real cluster, whose trigger is killed at times."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import TimeoutError as NoReply
from redis import Redis

from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.local.cluster import LocalCluster
from tests import ROOT
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, quick_settings

EXAMPLE = ROOT / "examples" / "celery_service" / "service.py"
MESSAGES = 60
KILLS = 4
OPTIONS = {"model": "fake", "language": "en", "aligner": "cross_attention"}


@pytest.fixture
def cluster(tmp_path: Path, s3_endpoint: str, bucket: str) -> Iterator[LocalCluster]:
    values = quick_settings(tmp_path / "home", source_buckets=bucket, s3_endpoint_url=s3_endpoint)
    with LocalCluster(values, workers=1, celery_trigger=True) as local:
        yield local


@pytest.fixture
def redis_url(cluster: LocalCluster) -> str:
    url = cluster.services.settings.redis_url
    assert url is not None
    return url.get_secret_value()


@pytest.fixture
def sender(redis_url: str) -> Iterator[Celery]:
    """It knows the address of Redis and the contract."""
    app = Celery("elsewhere", broker=redis_url, backend=redis_url, set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def source(s3_shared_client: Any, bucket: str, tmp_path: Path) -> str:
    path = write_wav(tmp_path / "talk.wav", recording(20, seed=4)[0])
    s3_shared_client.upload_file(str(path), bucket, "talk.wav")
    return f"s3://{bucket}/talk.wav"


def send(sender: Celery, task: str = "scriptorium.submit", **fields: Any) -> dict[str, Any]:
    reply = sender.send_task(task, kwargs=fields, queue="submit").get(timeout=60)
    assert isinstance(reply, dict) and reply["contract"] == 1
    return reply


def test_a_job_is_submitted_and_followed_by_messages(
    sender: Celery, source: str, cluster: LocalCluster
) -> None:
    job = send(sender, source=source, options=OPTIONS, metadata={"order": "4711"})["job"]
    assert (job["status"], job["metadata"]) == ("queued", {"order": "4711"})

    def ended() -> bool:
        told = send(sender, "scriptorium.status", job=job["id"])["job"]
        return bool(told["status"] == "completed")

    assert eventually(ended)
    assert cluster.services.result(TENANT, job["id"])["transcript"]["text"]


def test_whatever_is_sent_is_answered(sender: Celery, source: str, cluster: LocalCluster) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"source": 7},
        {"source": source, "self": 1, "no such": [None]},
        {"source": source, "contract": 99},
        {"source": "x" * 3_000_000},
        {"source": source, "options": {"model": "no such model"}},
        {"source": source, "options": {"temperature": 1e999}},
        {"source": "s3://canary-bucket/x?signature=canary"},
    ]
    codes = [send(sender, **fields)["error"]["code"] for fields in wrong]
    assert codes == [
        *["invalid_request"] * 5, "unknown_model", "invalid_request", "source_not_allowed",
    ]  # fmt: skip
    positional = sender.send_task("scriptorium.submit", args=["canary"], queue="submit")
    assert positional.get(timeout=60)["error"]["code"] == "invalid_request"
    gone = send(sender, "scriptorium.status", job="nothing")
    assert gone["error"]["code"] == "unknown_job"
    assert list(listed_jobs(cluster.services, TENANT, 9)) == []
    assert "canary" not in (cluster.logs / "submit.log").read_text()


def test_the_example_service_gets_its_job_done(redis_url: str, source: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), source, "fake"],
        env={"PATH": os.environ["PATH"], "REDIS_URL": redis_url},
        cwd=EXAMPLE.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.endswith(" queued") and last.endswith(" completed order 4711")
    assert "orchestrator" not in EXAMPLE.read_text() and "import tasks" not in EXAMPLE.read_text()


def test_a_killed_trigger_loses_no_message_and_makes_no_job_twice(
    sender: Celery, cluster: LocalCluster, bucket: str, redis_url: str
) -> None:
    """A message is redelivered or sent again under its own id; each id is one job at last."""
    dice = random.Random(4)
    fields = {"source": f"s3://{bucket}/gone.wav", "options": OPTIONS}
    waiting = {str(uuid4()): fields | {"metadata": {"n": str(n)}} for n in range(MESSAGES)}
    ids = set(waiting)
    send(sender, "scriptorium.status", job="x")  # it is up
    replies: dict[str, list[str]] = {message: [] for message in ids}
    for attempt in range(KILLS + 2):
        sent = {
            message: sender.send_task(
                "scriptorium.submit", kwargs=kwargs, queue="submit", task_id=message
            )
            for message, kwargs in waiting.items()
        }
        if attempt < KILLS:
            time.sleep(dice.uniform(0.0, 0.1))
            kill_trigger(cluster)
        for message, result in sent.items():
            try:
                reply = result.get(timeout=5 if attempt < KILLS else 60)
            except NoReply:
                break  # the rest waits in the queue, behind it
            replies[message].append(reply["job"]["id"])
            result.forget()
        waiting = {it: kwargs for it, kwargs in waiting.items() if not replies[it]}
        if not waiting:
            break
    assert not waiting
    with Redis.from_url(redis_url) as redis:  # what was in hand when it was killed comes back
        for tag in redis.zrange("submit.unacked_index", 0, -1):
            redis.zadd("submit.unacked_index", {tag: 0})
        assert eventually(lambda: not redis.zcard("submit.unacked_index"))
        assert eventually(lambda: not redis.llen("submit"))
    jobs = [job for _, job in listed_jobs(cluster.services, TENANT, 10 * MESSAGES)]
    assert len(jobs) == MESSAGES
    assert {job for told in replies.values() for job in told} == set(jobs)
    assert all(len(set(told)) == 1 for told in replies.values())


def kill_trigger(cluster: LocalCluster) -> None:
    children = cluster.supervisor.children()
    (name,) = [name for name in children if name.startswith("submit@")]
    os.killpg(children[name], signal.SIGKILL)
