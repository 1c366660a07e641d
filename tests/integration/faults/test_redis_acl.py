"""The list of what Scriptorium may do in its Redis: enough for a whole cluster, and no more."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery
from kombu.connection import Connection
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from orchestrator.local.cluster import LocalCluster
from orchestrator.local.ports import free_port
from tasks.runs.stages import Stage, queues
from tests import ROOT
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import quick_settings
from tests.integration.every_route import EveryRoute
from tests.integration.faults.conftest import Figure
from tests.servers.redis_process import redis_process

LIST = ROOT / "examples" / "redis" / "users.acl"
# redis-py tells its name and version, and goes on if it may not.
NOT_NEEDED = {"client"}
SELDOM = {
    "lrange": "a queue that holds messages when the reconciler looks into it",
    "punsubscribe": "a worker that ends in peace",
    "unwatch": "a transaction that breaks off",
}
REFUSED = (
    "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET dir /", "KEYS *", "DEBUG SLEEP 1",
    "SHUTDOWN", "EVAL return 0", "SCRIPT FLUSH", "MONITOR", "REPLICAOF 127.0.0.1 1",
    "SLAVEOF NO ONE", "MODULE LIST", "ACL LIST", "CLIENT LIST", "CLIENT KILL TYPE normal", "SAVE",
    "BGSAVE", "BGREWRITEAOF", "MIGRATE 127.0.0.1 1 x 0 1", "SWAPDB 0 1", "RENAME submit x",
    "DUMP submit", "RANDOMKEY", "SYNC", "SLOWLOG GET", "GET another", "SET another 1",
    "DEL another", "LPUSH another x", "PUBLISH another x", "SUBSCRIBE another", "PSUBSCRIBE *",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guarded:
    """A Redis with the list, and two ways in."""

    url: str  # of the user of the list
    admin: Redis

    def refused(self) -> list[tuple[str, str]]:
        """What was refused since the log was emptied: the reason and the name."""
        entries: Any = self.admin.acl_log()
        return [(entry["reason"], entry["object"]) for entry in entries]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    password, key = secrets.token_hex(16), secrets.token_hex(16)
    users = tmp_path / "users.acl"
    users.write_text(
        LIST.read_text().replace("CHANGE-ME", password) + f"user admin on >{key} ~* &* +@all\n"
    )
    with (
        redis_process(tmp_path, f"aclfile {users}\n") as port,
        Redis(port=port, username="admin", password=key) as admin,
    ):
        yield Guarded(f"redis://scriptorium:{password}@127.0.0.1:{port}/0", admin)


def listed() -> set[str]:
    """The commands of the list, without their parts."""
    return set(re.findall(r"\+([a-z]+)", LIST.read_text()))


def use_all_ways_in(url: str, redis_url: str, sound: Path) -> None:
    """Submit by HTTP, watch, cancel, retry, rerun, list, upload; ask by Celery; delete."""
    with httpx.Client(base_url=url, timeout=60) as http:
        routes = EveryRoute(http)
        job, other = routes.use(sound)
        with Celery("elsewhere", broker=redis_url, backend=redis_url, set_as_current=False) as app:
            sent = app.send_task("scriptorium.status", kwargs={"job": job}, queue="submit")
            assert sent.get(timeout=60)["job"]["status"] == "completed"
        routes.asked("DELETE", f"/v1/jobs/{other}")


def lose_a_message(url: str) -> None:
    """Take one and end without an acknowledgement: kombu puts it back."""
    with Connection(url) as connection, connection.SimpleQueue("submit") as queue:
        queue.put({"task": "none"})
        queue.get(timeout=10)
    with Connection(url) as connection, connection.SimpleQueue("submit") as queue:
        queue.get(timeout=10).ack()


@pytest.mark.heavy
@pytest.mark.fault(
    "a Redis that allows the user of examples/redis/users.acl alone",
    "a cluster does all it does, each command of the list is used, and nothing it asks is refused",
)
def test_a_cluster_needs_what_is_on_the_list_and_all_of_it(
    guarded: Guarded, tmp_path: Path, figure: Figure
) -> None:
    settings = quick_settings(
        tmp_path / "home",
        redis_url=guarded.url,
        allow_anonymous=True,
        api_port=free_port("127.0.0.1"),
    )
    sound = write_wav(tmp_path / "talk.wav", recording(35, seed=4)[0])
    guarded.admin.acl_log_reset()
    guarded.admin.config_resetstat()
    with LocalCluster(settings, workers=1, api=True, celery_trigger=True) as cluster:
        assert cluster.api_url is not None
        try:
            use_all_ways_in(cluster.api_url, guarded.url, sound)
        finally:
            print("refused:", guarded.refused())
    with LocalCluster(settings, workers=1):  # the reconciler meets the jobs of the first
        time.sleep(2.0)
    lose_a_message(guarded.url)
    stats: Any = guarded.admin.info("commandstats")
    used = {name.removeprefix("cmdstat_").partition("|")[0] for name in stats}
    refused = {what for what in guarded.refused() if what[1] not in NOT_NEEDED}
    unused = listed() - used - set(SELDOM)
    figure(
        f"{len(listed())} commands listed, all used but {sorted(unused)} and the seldom ones "
        f"({', '.join(SELDOM)}); refused: {sorted(refused)}"
    )
    assert refused == set()
    assert unused == set()


@pytest.mark.fault(
    f"{len(REFUSED)} other commands, keys and channels, as that user",
    "each is refused, a FLUSHALL inside a script too",
)
def test_nothing_else_is_allowed(guarded: Guarded, figure: Figure) -> None:
    for command in REFUSED:
        with Redis.from_url(guarded.url) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command.split())
    with Redis.from_url(guarded.url) as client:
        evil: Any = client.register_script("return redis.call('FLUSHALL')")
        with pytest.raises(RedisError, match=r"(?i)can't run this command|no permission|NOPERM"):
            evil()
    port = guarded.admin.connection_pool.connection_kwargs["port"]
    with Redis(port=port) as stranger, pytest.raises(RedisError, match=r"(?i)authenticat"):
        stranger.get("scriptorium:open")
    figure(f"{len(REFUSED)} commands, keys and channels refused, and a script's FLUSHALL")


def test_every_queue_is_on_the_list() -> None:
    text = LIST.read_text()
    for stage in Stage:
        assert f"~{stage}.*" in text
    assert {queue.partition(".")[0] for queue in queues()} == set(Stage)
