"""Enter requests into the audit trail when their replies begin.

A request without a known sender is not entered: it did nothing, and the address that sends wrong
keys is bounded elsewhere. What it was refused for says the outcome, its status.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.access import Principal
from orchestrator.api.audited import ACTIONS, Audited, Kind, is_kept
from orchestrator.api.authentication import PRINCIPAL
from orchestrator.trail.entry import Entry
from orchestrator.trail.writing import Trail

DETAILS = "scriptorium.audit"  # of a request's scope: what its route adds to the entry
JOB_HEADERS = (b"x-scriptorium-job", b"location")  # of a reply: the job that it has made

SHOWN = ("upload", "key", "collection")  # parts of a path that an entry names, besides the job


class AuditTrail:
    """ASGI middleware that notes who did what, from where."""

    def __init__(self, app: ASGIApp, trail: Trail, reads: str) -> None:
        self._app = app
        self._trail = trail
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_noted = False

        async def note(status: int, headers: list[tuple[bytes, bytes]]) -> None:
            nonlocal is_noted
            route = str(getattr(scope.get("route"), "path", ""))
            audited = ACTIONS.get(f"{scope['method']} {route}")
            sender: Principal | None = scope.get(PRINCIPAL)
            if is_noted or audited is None or sender is None:
                return
            is_noted = True
            if is_kept(audited.kind, self._reads):
                entry = _entry(scope, audited, sender, status, headers)
                if audited.kind is Kind.LASTING:
                    await run_in_threadpool(self._trail.note_now, entry)
                else:
                    self._trail.note(entry)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                await note(int(message["status"]), list(message.get("headers", ())))
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:  # the reply 500 is made by what is around this
            await note(500, [])
            raise


def _entry(
    scope: Scope,
    audited: Audited,
    sender: Principal,
    status: int,
    headers: list[tuple[bytes, bytes]],
) -> Entry:
    path: dict[str, Any] = scope.get("path_params", {})
    details: dict[str, Any] = {name: path[name] for name in SHOWN if name in path}
    job, made = path.get("job"), _job_made(headers)
    if audited.action == "collection.submit" and made is not None:
        details["collection"], made = made, None
    if made is not None and job not in (None, made):
        details["of"] = job  # a rerun makes a new job of an old one
    if audited.action == "job.export":
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        details["format"] = asked.get("format", ["json"])[0]
    for name, value in scope.get("headers", ()):
        if name == b"x-forwarded-for":  # as the proxy says, or as a client claims
            details["forwarded_for"] = value.decode("latin-1")
    client = scope.get("client")
    return Entry(
        action=audited.action,
        tenant=sender.tenant,
        by="anonymous" if sender.key_id is None else f"key:{sender.key_id}",
        origin=client[0] if client else None,
        job=made or job,
        outcome=str(status),
        details=details | scope.get(DETAILS, {}),
    )


def _job_made(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name.lower() in JOB_HEADERS:
            return value.decode("latin-1").rpartition("/")[2]
    return None
