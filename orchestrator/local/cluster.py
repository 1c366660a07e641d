"""A whole cluster on this machine: Redis, workers, reconciler, API. It needs no root.

Redis and the store are used from elsewhere if the settings name them.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from uuid import uuid4

from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.exposure import check_exposure
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.store_requirements import check_store_at_start
from orchestrator.local.directories import private_directory
from orchestrator.local.fleet import Fleet
from orchestrator.local.fleet_plan import plan_fleet, with_limits
from orchestrator.local.front_door import (
    api_programs,
    celery_program,
    flower_program,
    url_of,
    wait_until_ready,
    with_addresses,
)
from orchestrator.local.keys_secret import with_kept_secret, with_secret_for
from orchestrator.local.placement import Placement, usable_gpus
from orchestrator.local.programs import Program
from orchestrator.local.redis_server import RedisServer
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WORKER_NICENESS, WorkerSpec, pool_named, worker_program
from orchestrator.reconciler import Reconciler
from tasks.runs.stages import Pool

ADDRESS_FILE = "cluster.json"


class LocalCluster:
    """A context manager: starts the cluster, and stops all that it started at the end.

    The number of GPU workers is `workers`, or follows the load between `min_workers` and
    `max_workers`. Raises InvalidOption for numbers that do not fit together.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int | None = None,
        min_workers: int | None = None,
        max_workers: int | None = None,
        placement: Placement = Placement.SHARED,
        adopt: bool = True,
        plugins: tuple[str, ...] = (),
        api: bool = False,
        celery_trigger: bool = False,
        flower: bool = False,
    ) -> None:
        self._plan = plan_fleet(
            f"local-{uuid4().hex[:8]}",
            usable_gpus(),
            settings,
            workers=workers,
            min_workers=min_workers,
            max_workers=max_workers,
            placement=placement,
            plugins=plugins,
            niceness=WORKER_NICENESS if api else 0,
        )
        self._settings = with_limits(settings, self._plan)
        self._api, self._celery_trigger, self._flower = api, celery_trigger, flower
        self._adopt = adopt
        self.redis: RedisServer | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.logs = settings.home / "logs"
        self.supervisor: Supervisor
        self.fleet: Fleet
        self.services: Cluster

    def __enter__(self) -> Self:
        settings = with_addresses(self._settings, api=self._api, flower=self._flower)
        settings = self._with_metrics(self._with_directories(settings))
        try:
            if settings.redis_url is None:
                self.redis = RedisServer(self.logs)
                self.redis.start()
                settings = settings.model_copy(update={"redis_url": SecretStr(self.redis.url)})
            self.services = open_cluster(settings)
            if self._settings.store_url is not None:  # not a directory that was just made
                check_store_at_start(self.services.store)
            if self._api:
                settings = with_secret_for(settings, self.services.store)
                check_exposure(self.services.store, settings, settings.api_host)
            self.supervisor = Supervisor(self.services.leases)
            self.supervisor.start(self._programs(settings))
            self.fleet = Fleet(self.services, self.supervisor, self._plan, self.logs)
            self.fleet.follow()
            self._start_thread("fleet", self.fleet.run)
            # Slow to import: they bring an HTTP client.
            from orchestrator.collections.delivery import round_courier
            from orchestrator.outbox.courier import Courier

            self._start_thread("reconciler", Reconciler(self.services, adopt=self._adopt).run)
            self._start_thread("courier", Courier(self.services).run)
            if self._adopt:
                self._start_thread("collections", round_courier(self.services).run)
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
        """Stop everything; give units in flight at most the grace to finish."""
        self._stop.set()
        while self._threads:
            self._threads.pop().join()
        if hasattr(self, "supervisor"):
            self.supervisor.stop(grace_seconds)
        if hasattr(self, "services"):
            self.services.close()
        if self.redis is not None:
            self.redis.stop()
            self.redis = None

    @property
    def name(self) -> str:
        """The cluster's unique name; the names of its workers end with it."""
        return self._plan.cluster

    @property
    def api_url(self) -> str | None:
        """The API's URL for programs of this machine; None without an API."""
        settings = self.services.settings
        return url_of(settings.api_host, settings.api_port) if self._api else None

    def wait_until_ready(self, stop: threading.Event) -> None:
        """Wait until the API answers or `stop` is set. Raises NotReady."""
        if self.api_url is not None:
            wait_until_ready(self.api_url, self.logs / "api.log", lambda: not stop.is_set())

    def _programs(self, settings: Settings) -> tuple[Program, ...]:
        name = self._plan.cluster
        cpu = pool_named("cpu", settings)
        worker = WorkerSpec(
            f"cpu@{name}",
            Pool.CPU,
            stages=cpu.stages,
            concurrency=cpu.concurrency,
            plugins=self._plan.plugins,
            niceness=self._plan.niceness,
        )
        front_door = api_programs(settings, self.logs) if self._api else []
        if self._celery_trigger:
            front_door.append(celery_program(settings, self.logs, name))
        if self._flower:
            front_door.append(flower_program(settings, self.logs))
        return (*front_door, worker_program(worker, settings, self.logs))

    def _with_metrics(self, settings: Settings) -> Settings:
        """Add a directory for the counters of all processes, if an API or a port serves them."""
        if settings.metrics_dir is not None or not (self._api or settings.metrics_port is not None):
            return settings
        directory = settings.home.resolve() / "metrics"
        shutil.rmtree(directory, ignore_errors=True)  # of the last cluster
        private_directory(directory)
        return settings.model_copy(update={"metrics_dir": directory})

    def _with_directories(self, settings: Settings) -> Settings:
        store = settings.home / "store"
        try:
            private_directory(self.logs)
            if settings.store_url is not None:
                return settings
            private_directory(store)
        except OSError as error:
            raise InvalidOption(
                f"{settings.home} cannot be written to: {error.strerror}.",
                hint="Set SCRIPTORIUM_HOME to a directory of yours.",
            ) from error
        return settings.model_copy(update={"store_url": store.resolve().as_uri()})


def announce(cluster: LocalCluster, home: Path) -> Path:
    """Write the cluster's address into the file that this user's other commands read."""
    settings = cluster.services.settings
    path = home / ADDRESS_FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "redis_url": settings.redis_url.get_secret_value() if settings.redis_url else "",
                "broker_url": settings.broker_url.get_secret_value() if settings.broker_url else "",
                "store_url": settings.store_url,
                "api_url": cluster.api_url,
                "pid": os.getpid(),
                "started_at": time.time(),
            }
        )
    )
    return path


def running_cluster(settings: Settings) -> Settings | None:
    """Return the settings with the address of this user's running cluster, or None."""
    try:
        address = json.loads((settings.home / ADDRESS_FILE).read_text())
        os.kill(address["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    broker_url = address.get("broker_url")
    return with_kept_secret(settings).model_copy(
        update={
            "redis_url": SecretStr(address["redis_url"]),
            "broker_url": SecretStr(broker_url) if broker_url else None,
            "store_url": address["store_url"],
        }
    )
