"""The cluster that the load runs on: every part a process of its own, on this machine."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.front_door import api_programs, wait_until_ready
from orchestrator.local.ports import free_port
from orchestrator.local.programs import Program, settings_environment
from orchestrator.local.redis_server import RedisServer
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WorkerSpec, worker_program
from tasks.runs.stages import Pool


class LoadCluster:
    """Redis, API processes, a reconciler and workers; use as a context manager, once."""

    def __init__(self, directory: Path, gpu_workers: int, cpu_units: int) -> None:
        self._directory = directory
        self._gpu_workers, self._cpu_units = gpu_workers, cpu_units
        self._stack = ExitStack()
        self.connection: Cluster
        self.supervisor: Supervisor
        self.api_url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def redis(self) -> Redis:
        """The cluster's Redis."""
        return self.connection.redis

    def processes(self) -> dict[str, int]:
        """Return the ids of the main processes, by name."""
        return self.supervisor.children()

    def _start(self) -> None:
        redis = RedisServer(self._directory)
        redis.start()
        self._stack.callback(redis.stop)
        store = self._directory / "store"
        store.mkdir()
        settings = Settings(
            home=self._directory / "home",
            redis_url=SecretStr(redis.url),
            store_url=store.as_uri(),
            api_port=free_port("127.0.0.1"),
            allowed_models="fake",
            self_test=False,  # no worker of the fake engine has a model to test
        )
        self.connection = open_cluster(settings)
        self._stack.callback(self.connection.close)
        self.supervisor = Supervisor(self.connection.leases)
        self._stack.callback(self.supervisor.stop, 0.0)
        self.supervisor.start(tuple(self._programs(settings)))
        self.api_url = f"http://127.0.0.1:{settings.api_port}"
        wait_until_ready(self.api_url, self._directory / "api.log", lambda: True)

    def _programs(self, settings: Settings) -> list[Program]:
        reconciler = Program(
            "reconciler",
            (sys.executable, "-m", "orchestrator.cli", "reconciler"),
            settings_environment(settings, os.environ),
            self._directory / "reconciler.log",
        )
        workers = [WorkerSpec(f"gpu{number}@load", Pool.GPU) for number in range(self._gpu_workers)]
        workers.append(WorkerSpec("cpu@load", Pool.CPU, concurrency=self._cpu_units))
        return [
            *api_programs(settings, self._directory),
            reconciler,
            *(worker_program(spec, settings, self._directory) for spec in workers),
        ]
