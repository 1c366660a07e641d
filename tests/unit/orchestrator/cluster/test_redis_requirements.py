"""Which Redis a cluster can use; each that it cannot is refused where a process connects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from orchestrator.cluster.connection import open_cluster
from orchestrator.cluster.redis_requirements import COMMANDS, check_info, check_redis_supported
from orchestrator.diagnosis.services import check_redis
from tasks.redis_address import RedisUnsupported
from tests.servers.redis_process import redis_process

EXAMPLE = Path("examples/redis/users.acl")
CLUSTER = "cluster-enabled yes\ncluster-config-file nodes.conf\n"
EVICTING = "maxmemory 100mb\nmaxmemory-policy volatile-lru\n"
LOCKED = 'rename-command EVALSHA ""\nrename-command BRPOP ""\n'  # as a service that has none


@pytest.mark.parametrize("look", [open_cluster, check_redis])
@pytest.mark.parametrize(
    ("configuration", "told", "advice"),
    [
        (CLUSTER, "in cluster mode", "cluster-enabled no"),
        (EVICTING, "evicts keys when it is full .maxmemory-policy volatile-lru", "noeviction"),
        (LOCKED, "lacks commands that are needed: brpop, evalsha", "Valkey"),
    ],
    ids=["cluster", "eviction", "commands"],
)
def test_a_server_that_a_cluster_cannot_use_is_refused_wherever_one_connects(
    tmp_path: Path, configuration: str, told: str, advice: str, look: Callable[[Settings], Any]
) -> None:
    with redis_process(tmp_path, configuration) as port:
        url = SecretStr(f"redis://127.0.0.1:{port}/0")
        values = Settings(redis_url=url, store_url=(tmp_path / "store").as_uri())
        with pytest.raises(RedisUnsupported, match=told) as refused:
            look(values)
        assert refused.value.code == "redis_unsupported"
        assert advice in refused.value.advice


@pytest.mark.parametrize("look", [open_cluster, check_redis])
def test_a_sentinel_is_refused_though_it_answers(
    tmp_path: Path, look: Callable[[Settings], Any]
) -> None:
    with redis_process(tmp_path, is_sentinel=True) as port:
        url = SecretStr(f"redis://127.0.0.1:{port}/0")
        with pytest.raises(RedisUnsupported, match="is a Sentinel"):
            look(Settings(redis_url=url, store_url="memory://x"))


@pytest.mark.parametrize("url", ["sentinel://host:26379/0", "redis://one:6379,two:6379/0"])
def test_addresses_of_several_servers_are_refused_with_the_same_code(url: str) -> None:
    with pytest.raises(RedisUnsupported) as refused:
        open_cluster(Settings(redis_url=SecretStr(url), store_url="memory://x"))
    assert refused.value.code == "redis_unsupported"


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"redis_mode": "sentinel"}, "is a Sentinel"),
        ({"redis_mode": "cluster"}, "cluster mode"),
        ({"cluster_enabled": 1}, "cluster mode"),
        ({"redis_version": "6.0.16"}, "too old"),
        ({"redis_version": "5.0"}, "too old"),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 1 << 20}, "evicts"),
    ],
    ids=str,
)
def test_what_a_server_says_of_itself_refuses_it(info: dict[str, Any], told: str) -> None:
    with pytest.raises(RedisUnsupported, match=told):
        check_info(info, "redis://here")


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"redis_version": "6.2.0", "redis_mode": "standalone", "cluster_enabled": 0},
        {"redis_version": "10.0.1", "maxmemory_policy": "noeviction", "maxmemory": 1 << 20},
        {"maxmemory_policy": "allkeys-lru", "maxmemory": 0},  # without a bound none is evicted
    ],
    ids=str,
)
def test_what_a_server_does_not_say_is_taken_to_be_right(info: dict[str, Any]) -> None:
    check_info(info, "redis://here")


def test_a_server_that_forbids_to_ask_is_taken_as_it_is(tmp_path: Path) -> None:
    silent = "user default on nopass ~* &* +@all -info -command\n"
    with redis_process(tmp_path, silent) as port, Redis(port=port) as client:
        assert check_redis_supported(client, "redis://here") == {}


def test_the_example_of_a_redis_user_allows_every_command_that_is_asked_for() -> None:
    allowed = {
        word.removeprefix("+").partition("|")[0]
        for word in EXAMPLE.read_text("utf-8").split()
        if word.startswith("+")
    }
    assert allowed - {"command"} == set(COMMANDS)
