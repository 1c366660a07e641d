"""The Celery application's settings: queues, and what nothing-lost rests on.

Each setting that departs from Celery's default was measured; `docs/celery.md`
says what happened without it.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery
from celery.signals import before_task_publish
from kombu.entity import Queue

from config.settings import Settings
from tasks.stages import queues

VISIBILITY_SECONDS = 6 * 3600  # longer than any unit: the reconciler brings lost work back
SENT_AT = "scriptorium_sent_at"  # header of every message: seconds since 1970
_LOCAL_REDIS = "redis://127.0.0.1:6379/0"


def make_app(values: Settings, *, only_sends: bool = False) -> Celery:
    """An application bound to the broker that the settings name.

    One that only sends keeps no results: a chain's first message needs none, and a
    backend costs each thread connections of its own and each message three requests.
    """
    url = broker_url(values)
    backend = "disabled://" if only_sends else url
    celery = Celery("scriptorium", broker=url, backend=backend)
    celery.backend_cls = backend
    celery.conf.update(
        # Named for each direction too: CELERY_BROKER_URL in the environment would win otherwise.
        broker_read_url=url,
        broker_write_url=url,
        task_queues=[Queue(name) for name in queues()],  # type: ignore[no-untyped-call]
        task_default_queue=queues()[0],
        task_create_missing_queues=False,
        include=["tasks.prepare", "tasks.language", "tasks.fan_out", "tasks.transcribe",
                 "tasks.align", "tasks.embed_speakers", "tasks.diarize", "tasks.assemble"],
        # A message is acknowledged when its work is done, and one at a time is taken.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        result_expires=24 * 3600,
        redis_socket_keepalive=True,
        redis_backend_health_check_interval=25,
        # JSON only: a message can name work, never carry code.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        worker_proc_alive_timeout=120,  # loading a model takes its time
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
        task_send_sent_event=not only_sends,  # a worker tells soon enough that it was received
    )  # fmt: skip
    return celery


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Say when it was sent: a queue's age is that of its first message."""
    if headers is not None:
        headers[SENT_AT] = round(time.time(), 3)


def broker_url(values: Settings) -> str:
    """Redis's address. TLS without a word about certificates means that they are checked."""
    url = values.redis_url.get_secret_value() if values.redis_url else _LOCAL_REDIS
    if url.startswith("rediss://") and "ssl_cert_reqs" not in url:
        url += ("&" if "?" in url else "?") + "ssl_cert_reqs=required"
    return url
