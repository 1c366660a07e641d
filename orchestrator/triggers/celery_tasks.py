"""The tasks `scriptorium.submit` and `scriptorium.status`, for messages on queue `submit`.

There is no API key: a message may name the tenants of the setting `message_tenants`. A message that
is delivered again gives the same job: its id is the idempotency key where the sender gives none.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Any

import structlog
from celery import Celery, Task
from celery.signals import setup_logging
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.logging import configure_logging
from config.settings import Settings, settings
from gpu_worker.errors import RedisUnavailable, ScriptoriumError, TransientError
from orchestrator.access import BudgetSpent, ClusterFull, QuotaExceeded
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs.submitter import Submitter
from orchestrator.trail.entry import Entry
from orchestrator.triggers.contract import (
    StatusMessage,
    SubmitMessage,
    error_reply,
    job_reply,
    parse_message,
    tenant_of,
)
from orchestrator.triggers.messages import RETRIES, ContractRequest
from tasks.broker import make_app
from tasks.execution.retries import backoff
from tasks.telemetry import (
    exposition,  # noqa: F401 - likewise
    heartbeat,  # noqa: F401 - it listens to Celery's signals
)

QUEUE = "submit"
# Redis delivers a killed worker's message again after this. Longer than the longest delay between
# retries, because a message that waits for one would be delivered twice.
VISIBILITY_SECONDS = 120
_CONNECTING = Lock()
log = structlog.get_logger(__name__)

Reply = dict[str, Any]


class ContractTask(Task):  # type: ignore[misc]
    """Takes arguments of any name; Celery's own call reserves `self`."""

    def __call__(self, /, *arguments: Any, **fields: Any) -> Any:
        return self.run(*arguments, **fields)


def make_trigger(values: Settings) -> Celery:
    """Make a Celery application that reads only queue `submit`, with the workers' settings."""
    celery = make_app(values)
    celery.conf.update(
        include=[],
        task_queues=[Queue(QUEUE)],  # type: ignore[no-untyped-call]  # as its senders declare it
        task_default_queue=QUEUE,
        worker_consumer="orchestrator.triggers.messages:ContractConsumer",
        task_send_sent_event=False,  # a retry's event would hold the arguments
    )
    if values.broker_url is None:
        celery.conf.broker_transport_options |= {
            "visibility_timeout": VISIBILITY_SECONDS,
            # Keys of its own: the stages' messages must not be delivered again so soon.
            "unacked_key": f"{QUEUE}.unacked",
            "unacked_index_key": f"{QUEUE}.unacked_index",
            "unacked_mutex_key": f"{QUEUE}.unacked_mutex",
        }
    return celery


app = make_trigger(settings())
_task = {
    "base": ContractTask,
    "bind": True,
    "Request": ContractRequest,
    "typing": False,
    "resultrepr_maxsize": 0,
}


@app.task(name="scriptorium.submit", **_task)  # type: ignore[untyped-decorator]
def submit(self: Task, /, *arguments: Any, **fields: Any) -> Reply:
    """Accept a job; reply with the job or with what is wrong."""

    def work() -> Reply:
        asked = parse_message(SubmitMessage, arguments, fields)
        cluster = own_cluster()
        key = asked.idempotency_key or f"celery:{self.request.id}"
        tenant, sender = tenant_of(asked, cluster.settings), self.request.origin
        job = Submitter(cluster, tenant, key, "celery").submit_named(asked)
        cluster.trail.note(Entry("job.submit", tenant, "celery", origin=sender, job=job.id))
        return job_reply(job)

    return _answer(self, work)


@app.task(name="scriptorium.status", **_task)  # type: ignore[untyped-decorator]
def status(self: Task, /, *arguments: Any, **fields: Any) -> Reply:
    """Reply with a job's status, or with what is wrong."""

    def work() -> Reply:
        asked = parse_message(StatusMessage, arguments, fields)
        cluster = own_cluster()
        return job_reply(cluster.job(tenant_of(asked, cluster.settings), asked.job))

    return _answer(self, work)


def _answer(task: Task, work: Callable[[], Reply]) -> Reply:
    """Return the reply of `work`, or that of its error; retry first if the error is transient."""
    try:
        reply = work()
        log.info("message_taken", task=task.name, message=task.request.id, job=reply["job"]["id"])
        return reply
    except (RedisError, OperationalError):
        error: ScriptoriumError = RedisUnavailable("Redis cannot be reached now.")
    except ScriptoriumError as known:
        error = known
    except Exception:
        log.exception("message_failed", task=task.name, message=task.request.id)
        error = ScriptoriumError("Something went wrong here; the log has it.")
    passing = isinstance(error, TransientError) and not isinstance(
        error,
        (QuotaExceeded, ClusterFull, BudgetSpent),  # the sender knows better when to try again
    )
    if passing and task.request.retries < RETRIES:
        delay = backoff(task.request.retries, random.random())
        # The queue is named: otherwise it would be the one that the message says it came from.
        raise task.retry(exc=error, countdown=delay, max_retries=None, queue=QUEUE)
    log.info("message_refused", task=task.name, message=task.request.id, code=error.code)
    return error_reply(error)


def own_cluster() -> Cluster:
    """Return this process's access to the cluster, which the first message opens."""
    with _CONNECTING:
        return _open()


@lru_cache(maxsize=1)
def _open() -> Cluster:
    return open_cluster(settings())


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log(**_: Any) -> None:
    configure_logging(settings().log_level, settings().log_format)
