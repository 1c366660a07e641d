"""Real servers for the tests that need one: S3 by moto, Redis by its own binary."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import Settings
from config.settings import settings as process_settings
from orchestrator.connection import Connection, connect
from orchestrator.redis_server import RedisServer
from tasks import lifecycle
from tasks.lifecycle import Workplace, workplace

OTHER_NAMES = ("REDIS_URL", "HF_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a moto server in this process, with credentials that it accepts."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "tester")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.delenv("AWS_PROFILE", raising=False)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_shared_client(s3_endpoint: str) -> Any:
    """One client for all tests, which answers at once: a client takes half a second to make."""
    from tasks.artifacts.s3 import s3_client

    return s3_client(s3_endpoint, attempts=1)


@pytest.fixture
def bucket(s3_shared_client: Any) -> str:
    """The name of a new, empty bucket."""
    name = f"test-{uuid4().hex}"
    s3_shared_client.create_bucket(Bucket=name)
    return name


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests do not reach them."""
    import os

    for name in os.environ:
        if name.startswith(("SCRIPTORIUM_", "CELERY_")) or name in OTHER_NAMES:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Commands and workers configure the root logger; undo it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that ends with the tests."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty Redis."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def no_redis() -> Redis:
    """A client of a server that is not there; it does not try twice."""
    return Redis(port=1, retry=Retry(NoBackoff(), 0))


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Of a cluster whose store is a new directory."""
    return Settings(
        redis_url=SecretStr(redis_url),
        store_url=(tmp_path / "store").as_uri(),
        home=tmp_path / "home",
        work_dir=tmp_path / "scratch",
    )


@pytest.fixture
def connection(settings: Settings, redis: Redis) -> Iterator[Connection]:
    """The control plane's side of it."""
    opened = connect(settings)
    yield opened
    opened.close()


@pytest.fixture
def place(settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The same cluster's workplace in this process, for tasks that are called here."""
    from orchestrator.workers import plan_workers, worker_environment
    from tasks.app import app

    spec = plan_workers(1, 0, "test")[0]
    for name, value in worker_environment(spec, settings, {}).items():
        monkeypatch.setenv(name, value)
    address = settings.redis_url.get_secret_value() if settings.redis_url else ""
    names = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
    before = {name: app.conf[name] for name in names}
    process_settings.cache_clear()
    lifecycle._open.cache_clear()  # one workplace a process, otherwise
    app.conf.update(dict.fromkeys(names, address))
    monkeypatch.setattr(app, "backend_cls", address)
    yield workplace()
    app.conf.update(before)
    process_settings.cache_clear()
    lifecycle._open.cache_clear()
