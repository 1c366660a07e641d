"""Each component has a user of its own in Redis: enough for a whole job, and no more."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from tests import ROOT
from tests.integration.security.components import running, use_every_component
from tests.servers.redis_process import redis_process

LIST = ROOT / "examples" / "redis" / "component_users.acl"
USERS = re.findall(r"^user (\w+) on", LIST.read_text(), re.MULTILINE)
# redis-py tells its name and version, and goes on if it may not.
NOT_NEEDED = {"client|setinfo", "client"}
NEVER = (
    "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET dir /", "KEYS *", "DEBUG SLEEP 1",
    "SHUTDOWN", "EVAL return 0", "SCRIPT FLUSH", "MONITOR", "REPLICAOF 127.0.0.1 1",
    "MODULE LIST", "ACL LIST", "CLIENT LIST", "SAVE", "MIGRATE 127.0.0.1 1 x 0 1", "SWAPDB 0 1",
    "RENAME submit x", "RANDOMKEY", "SLOWLOG GET", "GET another", "SET another 1",
    "PUBLISH another x", "SUBSCRIBE another", "PSUBSCRIBE *",
)  # fmt: skip
OWN = {  # what a component need not do, though another one must
    "api": (
        "LPUSH transcribe.bulk x", "LPUSH submit x", "GET celery-task-meta-x", "DEL unacked",
        "PUBLISH /0.celery.pidbox shutdown", "BRPOP prepare.bulk 1", "SCAN 0",
    ),
    "worker": (
        "GET scriptorium:open", "DEL scriptorium:job:a/b", "DEL scriptorium:reconciler",
        "SET scriptorium:load x", "DEL scriptorium:admitted:a", "LPUSH submit x",
        "DEL scriptorium:upload:a/b", "ZADD scriptorium:outbox 1 x", "SCAN 0",
    ),
    "reconciler": (
        "LPUSH submit x", "SETEX celery-task-meta-x 1 x", "DEL unacked", "BRPOP prepare.bulk 1",
        "PUBLISH /0.celery.pidbox shutdown", "SUBSCRIBE scriptorium:changed",
    ),
    "triggers": (
        "LPUSH transcribe.bulk x", "LPUSH assemble.interactive x", "DEL unacked",
        "DEL scriptorium:reconciler", "SET scriptorium:load x", "SCAN 0",
        "GET celery-taskset-meta-x.j", "ZADD scriptorium:outbox 1 x",
    ),
    "flower": (
        "GET scriptorium:open", "LPUSH transcribe.bulk x", "BRPOP prepare.bulk 1",
        "DEL transcribe.bulk", "DEL submit", "GET celery-task-meta-x", "LPUSH submit x",
    ),
    "sender": (
        "LPUSH transcribe.bulk x", "LPUSH prepare.interactive x", "GET scriptorium:open",
        "DEL submit.unacked", "BRPOP submit 1", "LPUSH submit@here.celery.pidbox x",
        "PUBLISH /0.celery.pidbox shutdown", "SCAN 0", "PSUBSCRIBE celery-task-meta-*",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guarded:
    """A Redis with the list, and the ways in."""

    urls: dict[str, str]  # by user
    admin: Redis


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    directory = tmp_path_factory.mktemp("redis")
    passwords = {user: secrets.token_hex(16) for user in (*USERS, "admin")}
    lines = LIST.read_text().splitlines()
    lines = [line.replace("CHANGE-ME", passwords.get(line.split()[1], "")) for line in lines] + [
        f"user admin on >{passwords['admin']} ~* &* +@all"
    ]
    (directory / "users.acl").write_text("\n".join(lines) + "\n")
    with (
        redis_process(directory, f"aclfile {directory}/users.acl\n") as port,
        Redis(port=port, username="admin", password=passwords["admin"]) as admin,
    ):
        yield Guarded(
            {user: f"redis://{user}:{passwords[user]}@127.0.0.1:{port}/0" for user in USERS}, admin
        )


@pytest.mark.heavy
def test_each_user_is_enough_for_its_component(guarded: Guarded, tmp_path: Path) -> None:
    guarded.admin.acl_log_reset()
    with running(tmp_path, guarded.urls) as (api, flower):
        try:
            use_every_component(api, flower, guarded.urls["sender"], tmp_path)
        finally:
            entries: Any = guarded.admin.acl_log()
            refused = {
                (entry["username"], entry["reason"], entry["object"])
                for entry in entries
                if entry["object"] not in NOT_NEEDED
            }
            print("refused:", sorted(refused))
    # Flower also asks how long the queues are: /metrics tells that.
    assert {one for one in refused if one[0] != "flower"} == set()
    assert all(kind == "key" and "." in name for _, kind, name in refused)


@pytest.mark.parametrize("user", USERS)
def test_what_a_component_does_not_need_is_refused(guarded: Guarded, user: str) -> None:
    for command in (*NEVER, *OWN[user]):
        with Redis.from_url(guarded.urls[user]) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command.split())


def test_the_chart_has_the_same_users() -> None:
    chart = ROOT / "helm" / "scriptorium" / "files" / "component_users.acl"
    assert chart.read_text() == LIST.read_text()
    assert set(OWN) == set(USERS)
