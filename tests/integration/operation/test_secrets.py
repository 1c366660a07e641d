"""Secrets that can be recognised, everywhere; then everything that we write is searched for them.

A process's environment is its own and is not searched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from celery import Celery
from pydantic import SecretStr

from orchestrator.local.cluster import LocalCluster
from orchestrator.local.front_door import FLOWER_USER
from orchestrator.local.redis_server import RedisServer
from scriptorium_client import ApiError, Client
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import quick_settings

CANARY = "canary-4f1d"
OPTIONS: dict[str, Any] = {"model": "fake", "language": "en", "aligner": "cross_attention"}


def canary(name: str) -> str:
    return f"{CANARY}-{name}"


@pytest.fixture
def s3_secret(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto takes any."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canary("s3"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", canary("s3-session"))


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Of a Redis whose password is a canary."""
    server = RedisServer(tmp_path)
    server._password = canary("redis")
    server.url = f"redis://:{server._password}@127.0.0.1:{server._port}/0"
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def cluster(
    tmp_path: Path, redis_url: str, s3_secret: None, s3_endpoint: str, bucket: str
) -> Iterator[LocalCluster]:
    secrets = {
        name: SecretStr(canary(name))
        for name in ("api_key", "hf_token", "webhook_key", "hooks_secret", "flower_password")
    }
    values = quick_settings(
        tmp_path / "home",
        redis_url=SecretStr(redis_url),
        store_url=f"s3://{bucket}/store",
        s3_endpoint_url=s3_endpoint,
        source_buckets=bucket,
        allow_urls=True,
        api_port=0,
        flower_port=0,
        log_level="DEBUG",
        **secrets,
    )
    with LocalCluster(values, workers=1, api=True, celery_trigger=True, flower=True) as local:
        local.wait_until_ready(threading.Event())
        yield local


def ask(url: str, replies: list[str]) -> None:
    """Requests that go wrong, with the key and other secrets where they do not belong."""
    key = canary("api_key")
    right = {"Authorization": f"Bearer {key}"}
    wrong = f"{key}-wrong"
    requests: list[dict[str, Any]] = [
        {"method": "GET", "url": f"/v1/jobs?key={key}"},
        {"method": "GET", "url": f"/v1/jobs/{key}", "headers": right},
        {"method": "GET", "url": f"/v1/jobs?cursor={key}", "headers": right},
        {"method": "GET", "url": "/v1/jobs", "headers": {"Authorization": f"Basic {wrong}"}},
        {"method": "GET", "url": "/v1/jobs", "headers": {"X-API-Key": wrong}},
        {"method": "POST", "url": "/v1/session", "json": {"key": wrong}},
        {"method": "POST", "url": "/v1/session", "json": {"kee": key}},
        {"method": "POST", "url": "/v1/jobs", "content": key, "headers": right},
        {"method": "POST", "url": "/v1/jobs", "json": {"source": key}, "headers": right},
        {"method": "POST", "url": "/v1/jobs", "json": {"api_key": key}, "headers": right},
        {
            "method": "POST",
            "url": "/v1/jobs",
            "json": {"source": f"https://user:{key}@localhost/x"},
            "headers": right,
        },
        {"method": "POST", "url": "/v1/hooks/s3", "json": {"Records": 1}, "headers": right},
        {
            "method": "POST",
            "url": "/v1/hooks/s3",
            "json": [{}],
            "headers": {"Authorization": f"Bearer {canary('hooks_secret')}"},
        },
        {"method": "POST", "url": "/v1/audio/transcriptions", "data": {"key": key}},
        {"method": "GET", "url": f"/{key}"},
    ]
    with httpx.Client(base_url=url, trust_env=False) as client:
        for request in requests:
            reply = client.request(**request)
            replies.append(f"{request} {reply.status_code}\n{reply.headers}\n{reply.text}")


def transcribe(url: str, talk: Path) -> str:
    with Client(url, canary("api_key"), trust_env=False) as client:
        job = client.submit(talk, **OPTIONS)
        assert client.wait(job.id, 120).status == "completed"
        client.transcript(job.id, "json")
        with pytest.raises(ApiError):
            client.submit(talk, initial_prompt=5)
        return job.id


def send_messages(redis_url: str, bucket: str) -> None:
    sender = Celery("elsewhere", broker=redis_url, backend=redis_url, set_as_current=False)
    signed = f"https://localhost:1/x.wav?X-Amz-Signature={canary('signature')}"
    for source in (signed, f"s3://{bucket}/gone-{os.getpid()}.wav", 5):
        result = sender.send_task("scriptorium.submit", kwargs={"source": source}, queue="submit")
        result.get(timeout=60)
    sender.close()


def look_at_flower(url: str, replies: list[str]) -> None:
    owner = (FLOWER_USER, canary("flower_password"))
    with httpx.Client(base_url=url, trust_env=False) as client:
        for path in ("/", "/broker", "/api/tasks", "/api/workers?refresh=1", "/metrics"):
            reply = client.get(path, auth=owner)
            assert reply.status_code == 200
            replies.append(f"flower {path}\n{reply.text}")
        client.get("/", auth=(FLOWER_USER, f"{owner[1]}-wrong"))


def test_no_secret_is_written_anywhere(
    cluster: LocalCluster, redis_url: str, bucket: str, tmp_path: Path
) -> None:
    url, settings = cluster.api_url, cluster.services.settings
    assert url is not None
    replies: list[str] = []
    ask(url, replies)
    transcribe(url, write_wav(tmp_path / "talk.wav", recording(8)[0]))
    send_messages(redis_url, bucket)
    look_at_flower(f"http://127.0.0.1:{settings.flower_port}", replies)

    found = [
        f"reply to {told.partition(chr(10))[0]}: {line}"
        for told in replies
        for line in told.splitlines()[1:]
        if has_canary(line)
    ]
    for log in cluster.logs.glob("*.log"):
        found += [f"{log.name}: {it}" for it in log.read_text().splitlines() if has_canary(it)]
    processes = psutil.Process().children(recursive=True)
    assert len(processes) >= 5
    found += [str(it) for it in processes if has_canary(" ".join(it.cmdline()))]
    store = cluster.services.store
    artifacts = list(store.list(""))
    assert len(artifacts) > 5
    found += [
        key for key in artifacts if has_canary(key) or has_canary(store.get(key).decode("latin1"))
    ]
    assert found == []
    assert len(list(cluster.logs.glob("*.log"))) >= 5


def has_canary(text: str) -> bool:
    return CANARY in text
