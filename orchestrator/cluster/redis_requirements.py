"""What a Redis must be, so that a cluster can use it: one server, new enough, that evicts nothing.

A process asks once, when it connects. What a server does not tell, or an operator forbids to ask,
is taken to be right: the fault then shows itself at the first command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from gpu_worker.errors import RedisUnavailable
from tasks.redis_address import RedisAddress, RedisUnsupported

OLDEST_REDIS = (6, 2)  # the oldest version that celery 5.7 and kombu 5.7 support
NO_EVICTION = "noeviction"
# Every command that a process of a cluster sends, its scripts too (examples/redis/users.acl): a
# service that speaks Redis's protocol may lack some.
COMMANDS = (
    "client", "get", "set", "setex", "mget", "exists", "del", "expire", "pexpire", "persist",
    "scan", "hget", "hset", "hdel", "hgetall", "hexists", "hlen", "brpop", "lpush", "rpush",
    "rpop", "lindex", "llen", "lrange", "ltrim", "sadd", "srem", "scard", "sismember", "smembers",
    "zadd", "zrem", "zcard", "zcount", "zscore", "zrange", "zrangebyscore", "zrevrangebyscore",
    "zremrangebyscore", "xadd", "xrange", "publish", "subscribe", "unsubscribe", "psubscribe",
    "punsubscribe", "multi", "exec", "watch", "unwatch", "evalsha", "script", "info", "ping",
    "time",
)  # fmt: skip
_ONE_SERVER = (
    "Use one server (`cluster-enabled no`), with a replica if you like: Celery's queues and the "
    "job index need keys of one server. Its contents may be lost."
)


def check_redis(redis: Redis, address: RedisAddress) -> None:
    """Raise RedisUnavailable unless it answers, and is what a cluster needs."""
    try:
        redis.ping()
        check_redis_supported(redis, address.shown)
    except (RedisError, OSError, ValueError) as error:  # ValueError: the port is above 65535
        raise RedisUnavailable(f"Redis cannot be used at {address.shown}: {error}.") from error


def check_redis_supported(redis: Redis, shown: str) -> Mapping[str, Any]:
    """Ask the server what it is, and return its answer to INFO; `shown` is its address for people.

    The answer is empty where the operator forbids to ask. Raises RedisUnsupported and RedisError.
    """
    info: Any = {}
    with suppress(NoPermissionError):  # the operator then knows the server
        info = redis.info()
        check_info(info, shown)
    with suppress(ResponseError, NoPermissionError):  # likewise, or it has no such command
        told: Any = redis.execute_command("COMMAND INFO", *COMMANDS)  # type: ignore[no-untyped-call]
        check_commands(_named(told), shown)
    return dict(info)


def check_info(info: Mapping[str, Any], shown: str) -> None:
    """Refuse a server by its answer to INFO. Raises RedisUnsupported."""
    if info.get("redis_mode") == "sentinel":
        raise RedisUnsupported(
            f"{shown} is a Sentinel, which holds no data.",
            hint="Name the server that it watches: Scriptorium does not ask Sentinel. Behind one "
            "name or address that follows the master, such as a Kubernetes Service, it works.",
        )
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled") == 1:
        raise RedisUnsupported(
            f"The Redis at {shown} is in cluster mode, which is not supported.", hint=_ONE_SERVER
        )
    version = str(info.get("redis_version", ""))
    if version and _numbers(version) < OLDEST_REDIS:
        raise RedisUnsupported(
            f"The Redis at {shown} is version {version}, which is too old.",
            hint=f"Use {'.'.join(map(str, OLDEST_REDIS))} or later.",
        )
    policy = str(info.get("maxmemory_policy", NO_EVICTION))
    if policy != NO_EVICTION and _bytes(info.get("maxmemory")):
        raise RedisUnsupported(
            f"The Redis at {shown} evicts keys when it is full (maxmemory-policy {policy}): leases "
            "and messages would vanish, and work would be done twice.",
            hint="Set maxmemory-policy to noeviction: `redis-cli config set maxmemory-policy "
            "noeviction`, or in the parameter group of a managed Redis.",
        )


def check_commands(known: Sequence[str], shown: str) -> None:
    """Refuse a server that lacks a command; `known` are those of COMMANDS that it has.

    Raises RedisUnsupported.
    """
    missing = sorted(set(COMMANDS) - {name.lower() for name in known})
    if missing:
        raise RedisUnsupported(
            f"The Redis at {shown} lacks commands that are needed: {', '.join(missing)}.",
            hint="Use a Redis or Valkey server: services that only speak its protocol, without "
            "its scripts or blocking reads, do not work.",
        )


def _named(told: Any) -> Sequence[str]:
    """Return the names in an answer to COMMAND INFO: a row for each command, None for no such."""
    if not isinstance(told, list) or len(told) != len(COMMANDS):
        return COMMANDS  # it is no answer to the question
    rows = [row for row in told if isinstance(row, list) and row]
    return [row[0].decode() if isinstance(row[0], bytes) else str(row[0]) for row in rows]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _bytes(value: Any) -> int:
    return value if isinstance(value, int) else 0
