"""An S3 client that is made to meet what a test server never does: refusals, conflicts, cuts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSResponse


class Reply(io.BytesIO):
    """The body of an HTTP reply as botocore reads it."""

    def stream(self, **_: object) -> list[bytes]:
        return [self.getvalue()]


class Script:
    """What a client is made to do before it sends requests, until it is undone."""

    def __init__(self, client: Any) -> None:
        self._events = client.meta.events
        self._acts: list[tuple[str, Callable[..., object]]] = []

    def before_sending(self, operation: str, act: Callable[..., object]) -> None:
        self._acts.append((f"before-send.s3.{operation}", act))
        self._events.register(*self._acts[-1])

    def answer(self, operation: str, *replies: tuple[int, str]) -> list[str]:
        """Give the next requests these replies and let the rest through; the URLs of all."""
        sent: list[str] = []
        left = list(replies)

        def reply(request: Any, **_: object) -> AWSResponse | None:
            sent.append(request.url)
            if not left:
                return None
            status, code = left.pop(0)
            body = f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()
            return AWSResponse(request.url, status, {}, Reply(body))

        self.before_sending(operation, reply)
        return sent

    def undo(self) -> None:
        for act in self._acts:
            self._events.unregister(*act)
