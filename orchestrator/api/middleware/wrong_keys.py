"""Refuse the keys of an address that has sent too many wrong ones, at little cost.

It sees a request before all other middleware, so that a flood of guesses takes as little of this
process's time as it can.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.access import TooManyWrongKeys
from orchestrator.access.keys import digest_of
from orchestrator.access.throttle import WrongKeys
from orchestrator.api.authentication import secret_in
from orchestrator.api.errors import reply_to


class FewGuesses:
    """ASGI middleware that answers 429 to keys that are refused unseen."""

    def __init__(self, app: ASGIApp, wrong: WrongKeys) -> None:
        self._app = app
        self._wrong = wrong

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client and self._wrong.is_over(client[0]):
            headers = Headers(scope=scope)
            secret = secret_in(headers.get("authorization", ""), headers.get("x-api-key", ""))
            if secret and self._wrong.refuses(client[0], digest_of(secret)):
                await reply_to(TooManyWrongKeys())(scope, receive, send)
                return
        await self._app(scope, receive, send)
