"""Take events from an SQS queue: a message is deleted only when its jobs are durable.

If this process dies, its messages become visible to others again; taking one twice makes no
second job. The rules that choose objects are not known here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3.session
import structlog
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from redis.exceptions import RedisError

from gpu_worker.errors import PermanentError, ScriptoriumError, StoreRefused, TransientError
from orchestrator.triggers.events import MalformedEvent
from orchestrator.triggers.intake import Intake

BATCH = 10  # messages; the most that SQS gives at once
WAIT_SECONDS = 10  # at an empty queue; a third of what Kubernetes gives a process to end
PAUSE_SECONDS = 5.0  # pause after botocore has given up on the queue
LONGEST_DELAY_SECONDS = 900  # SQS keeps a message for days
ATTEMPTS = 5  # of each request, with botocore's delays between them
# Codes that pass by themselves; other ones below status 500 need an operator.
_THROTTLED = ("Throttl", "TooManyRequests", "RequestThrottled", "KmsThrottled")
_UNCONFIGURED = (
    *(NoCredentialsError, PartialCredentialsError, ProfileNotFound),
    *(NoRegionError, ParamValidationError),
)
log = structlog.get_logger(__name__)


class QueueRefused(PermanentError):
    """SQS refused what was asked of it."""

    code = "queue_refused"
    hint = (
        "Check the queue's URL, AWS_DEFAULT_REGION and the credentials, and allow them "
        "sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility."
    )


class QueueUnavailable(TransientError):
    """The queue cannot be reached."""

    code = "queue_unavailable"
    hint = "Check the network and the queue's URL; it is tried again by itself."


def sqs_client(queue_url: str) -> Any:
    """Open a boto3 client, which threads may share. Raises QueueRefused."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=WAIT_SECONDS + 30,
        max_pool_connections=BATCH,
    )
    with _faults():
        return boto3.session.Session().client(
            "sqs", config=config, region_name=region_of(queue_url)
        )


def region_of(queue_url: str) -> str | None:
    """Return the region that an Amazon queue's URL names; None: boto3 finds it."""
    host = (urlsplit(queue_url).hostname or "").split(".")
    return host[1] if host[0] == "sqs" and "amazonaws" in host else None


def delay_seconds(receives: int) -> int:
    """Return how long a message stays hidden before the next try, by how often it was received."""
    return int(min(LONGEST_DELAY_SECONDS, 2 ** min(max(receives, 1), 10)))


class Poller:
    """Polls a queue and hands its messages to the intake. Several may share a queue."""

    def __init__(
        self,
        intake: Intake,
        client: Any,
        queue_url: str,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up a poller; `beat` is called after each poll, also a failed one."""
        self._intake = intake
        self._client = client
        self._queue_url = queue_url
        self._beat = beat

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set; finish the messages in hand. Raises QueueRefused."""
        with ThreadPoolExecutor(BATCH, thread_name_prefix="message") as pool:
            while not stop.is_set():
                try:
                    messages = self._receive()
                except QueueUnavailable as error:
                    log.warning("queue_unavailable", reason=str(error))
                    self._beat()
                    stop.wait(PAUSE_SECONDS)
                    continue
                list(pool.map(self._handle, messages))
                self._beat()

    def _receive(self) -> list[dict[str, Any]]:
        with _faults():
            reply = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        found: list[dict[str, Any]] = reply.get("Messages", [])
        return found

    def _handle(self, message: dict[str, Any]) -> None:
        try:
            done = self._take(message)
            with _faults():
                if done:
                    self._client.delete_message(**self._named(message))
                else:
                    self._client.change_message_visibility(
                        **self._named(message),
                        VisibilityTimeout=delay_seconds(_receives(message)),
                    )
        except (QueueRefused, QueueUnavailable) as error:  # it comes again, for the same jobs
            log.warning("message_kept", message=message["MessageId"], reason=str(error))
        except Exception:  # a bug of ours must end neither the message nor the poller
            log.exception("message_failed", message=message["MessageId"])

    def _take(self, message: dict[str, Any]) -> bool:
        """Take a message; return whether it is done and can be deleted."""
        name, body = message["MessageId"], message["Body"]
        try:
            try:
                refused = self._intake.take(body).refused
            except MalformedEvent as error:
                refused = (error,)
            if refused:
                self._intake.bury(name, body, refused[0])
        except (TransientError, StoreRefused, RedisError) as error:
            code = error.code if isinstance(error, ScriptoriumError) else "redis_unavailable"
            log.warning("message_delayed", message=name, code=code, reason=str(error))
            return False
        return True

    def _named(self, message: dict[str, Any]) -> dict[str, str]:
        return {"QueueUrl": self._queue_url, "ReceiptHandle": message["ReceiptHandle"]}


def _receives(message: dict[str, Any]) -> int:
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


@contextmanager
def _faults() -> Iterator[None]:
    """Turn botocore's errors into this module's. Raises QueueRefused or QueueUnavailable."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or any(word in code for word in _THROTTLED):
            raise QueueUnavailable(f"The queue cannot be used now: {error}") from error
        raise QueueRefused(f"SQS refused a request: {error}") from error
    except (*_UNCONFIGURED, ValueError) as error:
        raise QueueRefused(f"The queue cannot be asked: {error}") from error
    except (BotoCoreError, HTTPClientError) as error:
        raise QueueUnavailable(f"The queue cannot be reached: {error}") from error
