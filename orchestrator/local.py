"""A whole cluster on this machine: Redis, workers, reconciler; real processes, no root.

Each part is replaced by a real one when the settings name it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Self
from uuid import uuid4

from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.connection import Connection, connect
from orchestrator.reconciler import Reconciler
from orchestrator.redis_server import RedisServer
from orchestrator.supervisor import Supervisor
from orchestrator.workers import WorkerSpec, count_gpus, plan_workers

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
    ) -> None:
        self._settings = settings
        self._gpus = count_gpus()
        self._workers = workers or self._gpus or min(2, os.cpu_count() or 1)
        self._adopt = adopt
        self._plugins = plugins
        self.redis: RedisServer | None = None
        self._stop = threading.Event()
        self._reconciler: threading.Thread | None = None
        self.logs = settings.home / "logs"
        self.supervisor: Supervisor
        self.connection: Connection

    def __enter__(self) -> Self:
        settings = self._with_directories(self._settings)
        try:
            if settings.redis_url is None:
                self.redis = RedisServer(self.logs)
                self.redis.start()
                settings = settings.model_copy(update={"redis_url": SecretStr(self.redis.url)})
            self.connection = connect(settings)
            self.supervisor = Supervisor(settings, self.connection.leases, self.logs)
            self.supervisor.start(self._specs())
            reconciler = Reconciler(self.connection, adopt=self._adopt)
            self._reconciler = threading.Thread(
                target=reconciler.run, args=(self._stop,), name="reconciler", daemon=True
            )
            self._reconciler.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, grace_seconds: float = 0.0) -> None:
        """Stop everything; work in hand is given the grace to finish."""
        self._stop.set()
        if self._reconciler is not None:
            self._reconciler.join()
            self._reconciler = None
        if hasattr(self, "supervisor"):
            self.supervisor.stop(grace_seconds)
        if hasattr(self, "connection"):
            self.connection.close()
        if self.redis is not None:
            self.redis.stop()
            self.redis = None

    def _specs(self) -> tuple[WorkerSpec, ...]:
        name = f"local-{uuid4().hex[:8]}"
        specs = plan_workers(self._workers, self._gpus, name, self._settings.cpu_threads)
        return tuple(
            WorkerSpec(s.name, s.pool, s.gpu, s.threads, s.concurrency, self._plugins)
            for s in specs
        )

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
