"""What every process of a cluster opens: Redis, the store, and the objects that read them.

A worker's `Workplace` and the control plane's `Cluster` extend `Services`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from redis import BlockingConnectionPool, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import Settings
from tasks.artifacts import ArtifactStore
from tasks.artifacts.cached import CachedStore
from tasks.artifacts.cached_files import CachedFiles
from tasks.artifacts.opening import PATIENT, Patience, open_store
from tasks.broker import redis_address
from tasks.connections import STATE
from tasks.redis_address import RedisAddress
from tasks.runs import keys
from tasks.runs.records import REMEMBERED, Records
from tasks.state.cancellations import Cancellations
from tasks.state.leases import Leases
from tasks.state.receipts import Ledger
from tasks.state.speeds import Speeds

PATIENCE_SECONDS = 15.0  # a Redis that is silent for longer is an error


@dataclass(frozen=True, slots=True)
class Services:
    """Redis, the store, and the objects that read and write them."""

    settings: Settings
    redis: Redis
    store: ArtifactStore
    records: Records
    leases: Leases
    cancellations: Cancellations
    ledger: Ledger
    speeds: Speeds

    def parts(self) -> dict[str, Any]:
        """Return the fields by name, to make an instance of a class that extends this one."""
        return {field.name: getattr(self, field.name) for field in fields(Services)}


def open_services(
    settings: Settings,
    remembered: int = REMEMBERED,
    packed_bytes: int = 0,
    patience: Patience = PATIENT,
    count_read: Callable[[str, bool], None] | None = None,
    most_connections: int | None = None,
) -> Services:
    """Open the services as the settings say; keep so many records in memory, as `Records` does.

    `patience` is that with the store. `most_connections` to Redis are open at once: a command waits
    for one. With `count_read` the reads of the store are cached; it is
    told each look at a level of the cache, as `CachedStore` does.
    Sends nothing to Redis yet. Raises InvalidOption or StoreUnavailable.
    """
    redis = open_redis(redis_address(settings), most_connections=most_connections)
    store = open_store(
        settings.store_url or "", endpoint_url=settings.s3_endpoint_url, patience=patience
    )
    if count_read is not None:
        store = _cached(store, settings, count_read)
    return Services(
        settings=settings,
        redis=redis,
        store=store,
        records=Records(store, remembered, packed_bytes),
        leases=Leases(redis, settings.lease_seconds),
        cancellations=Cancellations(redis),
        ledger=Ledger(redis),
        speeds=Speeds(redis),
    )


def _cached(
    store: ArtifactStore, settings: Settings, count: Callable[[str, bool], None]
) -> ArtifactStore:
    """Return the store with a cache, if it is on a network: the system caches files by itself."""
    if not store.url.startswith("s3://") or settings.cache_seconds == 0:
        return store
    identity = f"{settings.s3_endpoint_url} {store.url}"
    seconds, disk_bytes = settings.cache_seconds, settings.cache_disk_bytes
    return CachedStore(
        store,
        keys.anchor,
        memory_bytes=settings.cache_memory_bytes,
        seconds=seconds,
        files=CachedFiles(settings.work_dir, identity, disk_bytes, seconds) if disk_bytes else None,
        count=count,
    )


def open_redis(
    address: RedisAddress,
    patience_seconds: float = PATIENCE_SECONDS,
    *,
    tries_again: bool = True,
    most_connections: int | None = None,
) -> Redis:
    """Return a client that gives up on a silent server instead of hanging on it.

    It connects at its first command. An idle connection is tested before it is used again.
    """
    options: dict[str, Any] = {
        "socket_timeout": patience_seconds,
        "socket_connect_timeout": min(5.0, patience_seconds),
        "health_check_interval": 25,
        "client_name": STATE,
    }
    if not tries_again:
        options["retry"] = Retry(NoBackoff(), 0)
    if most_connections is None:
        return Redis.from_pool(ConnectionPool.from_url(address.client_url, **options))
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            address.client_url,
            max_connections=most_connections,
            timeout=patience_seconds,
            **options,
        )
    )
