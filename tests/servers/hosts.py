"""A cluster whose parts are on hosts of their own: worker, API, reconciler, Redis and store."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from redis import Redis, RedisError

from config.settings import Settings
from orchestrator.access import USUAL_SCOPES
from orchestrator.access.keys import ApiKeys
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.process import Child
from orchestrator.local.programs import Program, settings_environment
from orchestrator.local.redis_server import server_binary
from orchestrator.local.supervisor import Supervisor
from orchestrator.local.workers import WorkerSpec, worker_program
from tasks.artifacts.s3 import s3_client
from tasks.runs.stages import Pool
from tests.eventually import eventually
from tests.servers.network import Network

WORKER, API, RECONCILER, REDIS, STORE = "worker", "api", "reconciler", "redis", "store"
NAMES = (WORKER, API, RECONCILER, REDIS, STORE)
S3_ACCESS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_REDIS_PORT, _STORE_PORT, _API_PORT = 6379, 9000, 8000
_BUCKET = "scriptorium"


class HostedCluster:
    """The cluster and its network; use as a context manager, once.

    The environment must have S3_ACCESS. `make_settings` gets the settings that say where things
    are. A program that dies is started again, as on each host of a real cluster.
    """

    def __init__(self, directory: Path, make_settings: Callable[..., Settings]) -> None:
        self.network = Network(*NAMES)
        self.logs = directory
        self._make_settings = make_settings
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._stack.enter_context(self.network)
        address = {name: self.network.hosts[name].address for name in NAMES}
        password = secrets.token_hex(8)
        endpoint = f"http://{address[STORE]}:{_STORE_PORT}"
        redis_url = f"redis://:{password}@{address[REDIS]}:{_REDIS_PORT}/0"
        self._start_redis(address[REDIS], password, redis_url)
        self._start_store(address[STORE], endpoint)
        self.settings = self._make_settings(
            self.logs / "home",
            redis_url=SecretStr(redis_url),
            store_url=f"s3://{_BUCKET}/cluster",
            s3_endpoint_url=endpoint,
            api_host=address[API],
            api_port=_API_PORT,
            api_key=SecretStr(secrets.token_hex(8)),
        )
        self.connection: Cluster = open_cluster(self.settings)
        self._stack.callback(self.connection.close)
        self.supervisor = Supervisor(self.connection.leases)
        self._stack.callback(self.supervisor.stop, 0.0)
        self.supervisor.start(tuple(self._programs()))
        self.api_url = f"http://{address[API]}:{_API_PORT}"
        assert eventually(self.api_is_ready)

    def api_is_ready(self) -> bool:
        """Tell whether the API reaches Redis and the store."""
        with suppress(httpx.TransportError):
            return (
                httpx.get(f"{self.api_url}/readyz", trust_env=False).status_code == httpx.codes.OK
            )
        return False

    def make_key(self, tenant: str) -> str:
        """Return an API key of a tenant."""
        keys = ApiKeys(self.connection.store, self.settings)
        return keys.create(tenant, "test", USUAL_SCOPES)[0]

    def children(self) -> dict[str, int]:
        """Return the process ids of the programs that run, by name."""
        return self.supervisor.children()

    def _programs(self) -> list[Program]:
        """Return what runs on the hosts besides Redis and the store."""
        environment = settings_environment(self.settings, os.environ)
        programs = [
            (WORKER, worker_program(WorkerSpec("gpu0@worker", Pool.GPU), self.settings, self.logs)),
            (WORKER, worker_program(WorkerSpec("cpu0@worker", Pool.CPU), self.settings, self.logs)),
        ]
        for name, command in ((API, "serve"), (RECONCILER, "reconciler")):
            line = (sys.executable, "-m", "orchestrator.cli", command)
            programs.append((name, Program(name, line, environment, self.logs / f"{name}.log")))
        return [
            replace(program, command=tuple(self.network.hosts[host].command(program.command)))
            for host, program in programs
        ]

    def _start_redis(self, address: str, password: str, url: str) -> None:
        binary = server_binary()
        assert binary is not None
        configuration = (
            f"bind {address}\nport {_REDIS_PORT}\nrequirepass {password}\n"
            f'save ""\nappendonly no\ndaemonize no\ndir "{self.logs}"\n'
        )
        self._child(REDIS, [binary, "-"], stdin=configuration.encode())
        with Redis.from_url(url) as client:
            assert eventually(lambda: _answers(client.ping, RedisError))

    def _start_store(self, address: str, endpoint: str) -> None:
        command = [sys.executable, "-m", "tests.servers.s3_server", address, str(_STORE_PORT)]
        self._child(STORE, command)
        client = s3_client(endpoint, attempts=1)
        make = lambda: client.create_bucket(Bucket=_BUCKET)  # noqa: E731
        assert eventually(lambda: _answers(make, (BotoCoreError, ClientError)))
        client.close()

    def _child(self, name: str, command: list[str], stdin: bytes | None = None) -> None:
        environment: Mapping[str, str] = dict(os.environ)
        child = Child(
            name,
            self.network.hosts[name].command(command),
            self.logs / f"{name}.log",
            environment,
            stdin=stdin,
        )
        self._stack.callback(child.kill)


def _answers(ask: Callable[[], Any], errors: Any) -> bool:
    """Tell whether a server answers."""
    try:
        ask()
    except errors:
        return False
    return True
