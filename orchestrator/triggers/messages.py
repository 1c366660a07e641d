"""What the trigger takes over from a Celery message: its arguments, its id, and no instructions.

Celery lets a message name further messages to send (`link`, `link_error`, a chain) and counters to
raise (a chord). The trigger would send and raise them with its own rights, for any sender. So they
are dropped, and a message whose form is wrong is refused before Celery's own code meets it, which
would end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog
from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.exceptions import KombuError
from kombu.message import Message

from tasks.telemetry.metrics import TRIGGER_DEAD_LETTERS

DEAD_LETTERS = TRIGGER_DEAD_LETTERS.labels("celery")  # 0 from the start
RETRIES = 5  # after transient faults, over some 30 s in all
LONGEST_ID = 255  # characters; Celery's own ids have 36
# All that is kept of a message's headers. `group`, `chord`, `timelimit`, `shadow`, stamps and
# others are Celery's instructions.
_KEPT = frozenset(
    {
        "lang", "task", "id", "root_id", "parent_id", "eta", "expires", "origin",
        "ignore_result",
    }
)  # fmt: skip

logger = get_logger(__name__)  # for Celery's own messages
log = structlog.get_logger(__name__)


class ContractRequest(Request):  # type: ignore[misc]
    """A message without instructions, and without its arguments in events and logs.

    A source's address may hold a signature.
    """

    def __init__(
        self,
        message: Message,
        *,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        decoded: bool = False,
        **options: Any,
    ) -> None:
        """Take over the arguments and the headers that are kept. Raises InvalidTaskError."""
        given = message.headers if headers is None else headers
        arguments, fields, _ = body if decoded else message.payload
        kept = {name: given[name] for name in _KEPT if name in given}
        kept |= {
            "retries": _retries(given.get("retries")),
            "argsrepr": "...",
            "kwargsrepr": "...",
        }
        super().__init__(
            message, headers=kept, body=(arguments, fields, {}), decoded=True, **options
        )


class ContractConsumer(Consumer):  # type: ignore[misc]
    """Refuses a message whose form Celery's own code does not expect."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Message], Any]:
        """Return Celery's handler of messages, with the check before it."""
        handle = super().create_task_handler(*arguments, **options)

        def checked(message: Message) -> Any:
            try:
                check_form(message)
            except InvalidTaskError as error:
                # Without the content, which may hold a signed address.
                log.warning("message_malformed", reason=str(error))
                DEAD_LETTERS.inc()  # it is dropped: its sender gets no reply
                return message.reject_log_error(logger, self.connection_errors)  # type: ignore[no-untyped-call]
            except KombuError:  # content that is not JSON, of which Celery's handler knows
                pass
            return handle(message)

        return cast("Callable[[Message], Any]", checked)


def check_form(message: Message) -> None:
    """Raise InvalidTaskError if the message is not one that Celery itself could have sent.

    Also raises KombuError for content that cannot be decoded.
    """
    content = message.payload
    if isinstance(content, dict):  # protocol 1, or its content with the headers of protocol 2
        headers = content | (message.headers or {})
        arguments, fields = content.get("args", ()), content.get("kwargs", {})
    elif isinstance(content, (list, tuple)) and len(content) == 3:
        headers = message.headers
        arguments, fields, _ = content
    else:
        raise InvalidTaskError("the content is not [args, kwargs, options]")
    if not isinstance(arguments, (list, tuple)) or not isinstance(fields, dict):
        raise InvalidTaskError("args is no list, or kwargs is no object")
    if not isinstance(headers.get("task"), str):
        raise InvalidTaskError("the task's name is no text")
    name = headers.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        raise InvalidTaskError(f"the id is no text of 1 to {LONGEST_ID} characters")
    for field in ("eta", "expires"):
        if not isinstance(headers.get(field), (str, type(None))):
            raise InvalidTaskError(f"{field} is no time as text")


def _retries(given: Any) -> int:
    """Return how often the message was tried; a sender can neither lower nor raise the limit."""
    return min(max(given, 0), RETRIES) if isinstance(given, int) else 0
