"""A real Redis for the tests that need one, and a cluster's parts on top of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import Settings
from config.settings import settings as process_settings
from gpu_worker.models.hub import SERVERS
from orchestrator.cluster import hints
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.redis_server import RedisServer
from tasks.execution import workplace as lifecycle
from tasks.execution.workplace import Workplace, workplace
from tasks.runs.stages import Pool
from tests.servers.rabbitmq import RabbitServer, rabbit_server

# Each of 450 stops of the API waits as long as its listener may: else a quarter of a second.
hints.LISTEN_SECONDS = 0.02

ALL_SLOW = "\npytestmark = pytest.mark.slow"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file of slow tests alone for `make unit`: to import torch takes seconds."""
    if "not slow" in config.option.markexpr and collection_path.suffix == ".py":
        return ALL_SLOW in collection_path.read_text("utf-8") or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a RabbitMQ as slow, for the time that it takes to start."""
    for item in items:
        if "rabbit" in getattr(item, "fixturenames", ()) or "[rabbitmq]" in item.name:
            item.add_marker("slow")


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


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A RabbitMQ that ends with the tests; those that need it are skipped where there is none."""
    server = rabbit_server(tmp_path_factory.mktemp("rabbit") / "mq")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_client(redis_url: str) -> Iterator[Redis]:
    """One client for all tests: to connect takes longer than what most of them ask."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def redis(redis_client: Redis) -> Redis:
    """A client of an empty Redis."""
    redis_client.flushall()
    return redis_client


@pytest.fixture
def no_redis() -> Redis:
    """A client of a server that is not there; it does not try twice."""
    return Redis(port=1, retry=Retry(NoBackoff(), 0))


@cache
def settings_of(environment: frozenset[tuple[str, str]]) -> Settings:
    """The settings of this environment, read once: each of a hundred fields is looked for in it."""
    return Settings()


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Of a cluster whose store is a new directory."""
    own = {
        "redis_url": SecretStr(redis_url),
        "store_url": (tmp_path / "store").as_uri(),
        "home": tmp_path / "home",
        "work_dir": tmp_path / "scratch",
    }
    environment = frozenset(os.environ.items()) - {
        ("PYTEST_CURRENT_TEST", os.environ["PYTEST_CURRENT_TEST"])
    }
    return settings_of(environment).model_copy(update=own)


@pytest.fixture
def connection(settings: Settings, redis: Redis) -> Iterator[Cluster]:
    """The control plane's side of it."""
    opened = open_cluster(settings)
    yield opened
    opened.close()


@pytest.fixture
def place(settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The same cluster's workplace in this process, for tasks that are called here."""
    from orchestrator.local.workers import WorkerSpec, worker_environment
    from tasks.app import app

    environment = worker_environment(WorkerSpec("cpu@test", Pool.CPU), settings, {})
    environment["SCRIPTORIUM_WORKER_POOL"] = ""  # it does the stages of every pool
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    address = settings.redis_url.get_secret_value() if settings.redis_url else ""
    names = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
    before = {name: app.conf[name] for name in names}
    process_settings.cache_clear()
    lifecycle._open.cache_clear()  # one workplace a process, otherwise
    app.conf.update(dict.fromkeys(names, address))
    monkeypatch.setattr(app, "backend_cls", address)
    opened = workplace()
    yield opened
    opened.watchdog.end()
    app.conf.update(before)
    process_settings.cache_clear()
    lifecycle._open.cache_clear()


@pytest.fixture(autouse=True)
def no_silent_servers() -> None:
    """Each test finds out itself which servers of models answer."""
    SERVERS.forget()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of the hub and of torch's models are those of a port where nothing answers."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("gpu_worker.models.hub.TORCH_MODELS", "http://127.0.0.1:1")


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """pip finds packages in a directory alone, which is empty."""
    place = tmp_path / "index"
    place.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return place
