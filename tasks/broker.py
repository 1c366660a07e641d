"""The Celery application: its queues, and the settings that keep messages from being lost.

Each setting that departs from Celery's default was measured; `docs/celery.md` says what happens
without it. Redis carries the messages, or RabbitMQ if there is a `broker_url`; leases, results
and the job index are in Redis in both cases.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.signals import before_task_publish
from kombu.entity import Exchange, Queue

from config.settings import Settings
from gpu_worker.errors import InvalidOption, TransientError
from tasks.chord_counts import address_of as chord_counts
from tasks.fair_channel import be_fair
from tasks.redis_address import RedisAddress
from tasks.runs.stages import Stage, queues
from tasks.thread_pool import end_every_task

VISIBILITY_SECONDS = 6 * 3600  # longer than any unit: the reconciler brings lost work back
SENT_AT = "scriptorium_sent_at"  # header of every message: seconds since 1970
_CLASSIC_QUEUE = {
    # A worker of eight quorum queues would hold a message of each: their prefetch limit is per
    # queue.
    "x-queue-type": "classic",
    "x-consumer-timeout": VISIBILITY_SECONDS * 1000,  # ms; heeded by RabbitMQ 3.12 and later
}


class BrokerUnavailable(TransientError):
    """The message broker cannot be reached."""

    code = "broker_unavailable"
    hint = "Check SCRIPTORIUM_BROKER_URL and that RabbitMQ is running: `scriptorium doctor`."


def make_app(values: Settings, *, only_sends: bool = False) -> Celery:
    """Return a Celery application for the settings' broker. Raises InvalidOption.

    With `only_sends` it keeps no results: a chain's first message needs none, and a backend
    costs each thread connections of its own and each message three requests.
    """
    address = redis_address(values)
    url = broker_url(values)
    backend = "disabled://" if only_sends else address.celery_url
    celery = Celery("scriptorium", broker=url, backend=backend)
    celery.backend_cls = backend if only_sends else chord_counts(backend)
    celery.conf.update(
        # Set for reading and writing too: otherwise CELERY_BROKER_URL in the environment wins.
        broker_read_url=url,
        broker_write_url=url,
        task_default_queue=queues()[0],
        task_create_missing_queues=False,
        include=[f"tasks.stages.{stage}" for stage in Stage],  # one module for each stage
        # A worker takes one message at a time and acknowledges it when its work is done.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A Redis that refuses writes answers with errors of the channel: connect again after them.
        broker_channel_error_retry=True,
        **(_over_redis(address) if values.broker_url is None else _over_amqp(url)),
        result_expires=24 * 3600,
        # The threads of a GPU worker share connections to Redis: each needs one for a moment.
        result_backend_thread_safe=True,
        redis_backend_use_ssl=dict(address.tls) or None,
        redis_socket_keepalive=not address.socket,
        redis_backend_health_check_interval=25,
        # JSON only, which, unlike pickle, cannot carry code.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        worker_proc_alive_timeout=120,  # loading a model takes its time
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
        task_send_sent_event=not only_sends,  # for those, the worker's "received" is enough
    )  # fmt: skip
    celery.steps["consumer"].add("tasks.delivery_watch:DeliveryWatch")
    be_fair()
    end_every_task()
    return celery


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Put the time of sending into the message: a queue's age is that of its first message."""
    if headers is not None:
        headers[SENT_AT] = round(time.time(), 3)


def _over_redis(address: RedisAddress) -> dict[str, Any]:
    return {
        "broker_use_ssl": dict(address.tls) or False,  # the only place where Flower reads it
        "task_queues": [Queue(name) for name in queues()],  # type: ignore[no-untyped-call]
        "worker_disable_prefetch": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
    }


def _over_amqp(url: str) -> dict[str, Any]:
    # Messages go through the default exchange. Without an exchange of their own, Celery binds
    # all queues to one key of one exchange, and each message would reach every queue.
    exchange = Exchange("scriptorium", type="direct")  # type: ignore[no-untyped-call]
    return {
        "task_queues": [
            Queue(name, exchange, routing_key=name, queue_arguments=_CLASSIC_QUEUE)  # type: ignore[no-untyped-call]
            for name in queues()
        ],
        # After an outage Celery takes fewer messages for each unit in work, and asks RabbitMQ for
        # one more as each ends. It asks in the unit's thread, which takes answers from the socket
        # that the main thread reads: either may then wait for ever.
        "worker_enable_prefetch_count_reduction": False,
        "broker_heartbeat": 60,  # seconds: a machine that vanished is noticed after about two
        # `server_hostname` must be set, or a certificate of any host is accepted.
        "broker_use_ssl": url.startswith("amqps:")
        and {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None},
        "broker_transport_options": {"confirm_publish": True},
    }


def redis_address(values: Settings) -> RedisAddress:
    """Return Redis's address, with `redis_password` if the address itself has no password.

    Raises InvalidOption for an address that redis-py, kombu or Celery cannot use.
    """
    url, password = values.redis_url, values.redis_password
    address = (
        RedisAddress(host="127.0.0.1")
        if url is None
        else RedisAddress.parse(url.get_secret_value())
    )
    if password is None or address.password:
        return address
    return replace(address, password=password.get_secret_value())


def broker_url(values: Settings) -> str:
    """Return the broker's URL: RabbitMQ if it is set, else Redis. Raises InvalidOption."""
    if values.broker_url is None:
        return redis_address(values).celery_url
    url = values.broker_url.get_secret_value()
    if not url.startswith(("amqp://", "amqps://")):
        raise InvalidOption(
            "SCRIPTORIUM_BROKER_URL does not begin with amqp:// or amqps://.",
            hint="Set it to the address of a RabbitMQ, or leave it unset: then the Redis of "
            "REDIS_URL carries the messages too.",
        )
    try:
        parts = urlsplit(url)
        is_read = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        is_read = False
    if not is_read or "#" in url or "@" in parts.path + parts.query:
        raise InvalidOption(
            "SCRIPTORIUM_BROKER_URL has no host and port that can be read.",
            hint="Write amqp://USER:PASSWORD@HOST:5672/VHOST; in a user name or password write "
            "/ : @ # ? % as %2F %3A %40 %23 %3F %25.",
        )
    return url
