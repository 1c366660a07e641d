"""A whole cluster on this machine: Redis, workers, reconciler, front door; no root needed.

Each part is replaced by a real one when the settings name it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self
from uuid import uuid4

from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.exposure import check_exposure
from orchestrator.connection import Connection, connect
from orchestrator.local.front_door import (
    api_programs,
    celery_program,
    flower_program,
    url_of,
    wait_until_ready,
    with_addresses,
)
from orchestrator.local.programs import Program
from orchestrator.local.redis_server import RedisServer
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import count_gpus, plan_workers, worker_program
from orchestrator.reconciler import Reconciler

ADDRESS_FILE = "cluster.json"


class LocalCluster:
    """Use as a context manager: everything it started is stopped at the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int | None = None,
        adopt: bool = True,
        plugins: tuple[str, ...] = (),
        api: bool = False,
        celery_trigger: bool = False,
        flower: bool = False,
    ) -> None:
        self._settings = settings
        self._api, self._celery_trigger, self._flower = api, celery_trigger, flower
        self._gpus = count_gpus()
        self._workers = workers or self._gpus or min(2, os.cpu_count() or 1)
        self._adopt = adopt
        self._plugins = plugins
        self.redis: RedisServer | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.logs = settings.home / "logs"
        self.supervisor: Supervisor
        self.connection: Connection

    def __enter__(self) -> Self:
        settings = with_addresses(self._settings, api=self._api, flower=self._flower)
        settings = self._with_directories(settings)
        try:
            if settings.redis_url is None:
                self.redis = RedisServer(self.logs)
                self.redis.start()
                settings = settings.model_copy(update={"redis_url": SecretStr(self.redis.url)})
            self.connection = connect(settings)
            if self._api:
                check_exposure(self.connection.store, settings, settings.api_host)
            self.supervisor = Supervisor(self.connection.leases)
            self.supervisor.start(self._programs(settings))
            from orchestrator.outbox.courier import Courier  # brings an HTTP client along

            self._start_thread("reconciler", Reconciler(self.connection, adopt=self._adopt).run)
            self._start_thread("courier", Courier(self.connection).run)
        except BaseException:
            self.close()
            raise
        return self

    def _start_thread(self, name: str, loop: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=loop, args=(self._stop,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, grace_seconds: float = 0.0) -> None:
        """Stop everything; work in hand is given the grace to finish."""
        self._stop.set()
        while self._threads:
            self._threads.pop().join()
        if hasattr(self, "supervisor"):
            self.supervisor.stop(grace_seconds)
        if hasattr(self, "connection"):
            self.connection.close()
        if self.redis is not None:
            self.redis.stop()
            self.redis = None

    @property
    def api_url(self) -> str | None:
        """Where the API is for programs of this machine, if there is one."""
        settings = self.connection.settings
        return url_of(settings.api_host, settings.api_port) if self._api else None

    def wait_until_ready(self, stop: threading.Event) -> None:
        """Wait for the API to answer, or for the stop. Raises NotReady."""
        if self.api_url is not None:
            wait_until_ready(self.api_url, self.logs / "api.log", lambda: not stop.is_set())

    def _programs(self, settings: Settings) -> tuple[Program, ...]:
        name = f"local-{uuid4().hex[:8]}"
        specs = plan_workers(self._workers, self._gpus, name, settings.cpu_threads)
        workers = (replace(spec, plugins=self._plugins) for spec in specs)
        front_door = api_programs(settings, self.logs) if self._api else []
        if self._celery_trigger:
            front_door.append(celery_program(settings, self.logs, name))
        if self._flower:
            front_door.append(flower_program(settings, self.logs))
        return (*front_door, *(worker_program(spec, settings, self.logs) for spec in workers))

    def _with_directories(self, settings: Settings) -> Settings:
        store = settings.home / "store"
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            if settings.store_url is not None:
                return settings
            store.mkdir(exist_ok=True)
        except OSError as error:
            raise InvalidOption(
                f"{settings.home} cannot be written to: {error.strerror}.",
                hint="Set SCRIPTORIUM_HOME to a directory of yours.",
            ) from error
        return settings.model_copy(update={"store_url": store.resolve().as_uri()})


def announce(cluster: LocalCluster, home: Path) -> Path:
    """Leave the cluster's address where other commands of this user look for it."""
    settings = cluster.connection.settings
    path = home / ADDRESS_FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "redis_url": settings.redis_url.get_secret_value() if settings.redis_url else "",
                "store_url": settings.store_url,
                "api_url": cluster.api_url,
                "pid": os.getpid(),
                "started_at": time.time(),
            }
        )
    )
    return path


def running_cluster(settings: Settings) -> Settings | None:
    """The settings with the address of this user's running cluster, if there is one."""
    try:
        address = json.loads((settings.home / ADDRESS_FILE).read_text())
        os.kill(address["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return settings.model_copy(
        update={"redis_url": SecretStr(address["redis_url"]), "store_url": address["store_url"]}
    )
