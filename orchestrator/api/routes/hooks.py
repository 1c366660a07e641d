"""Events of S3-compatible stores, such as MinIO, over HTTP.

A store sends an event again until it gets 200, so the reply is 200 only when the event's jobs are
durable. An object that can never be a job is kept as a dead letter and answered by 200 too:
otherwise it would block all later events.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from gpu_worker.errors import PermanentError, StoreRefused, StoreUnavailable
from orchestrator.access import NotAuthenticated, TooManyWrongKeys
from orchestrator.api.authentication import cluster_of, count_wrong, is_refused
from orchestrator.api.replies import HealthReply, error_replies
from orchestrator.triggers.intake import Intake, Taken, open_intake

_opening = Lock()
_bearer = HTTPBearer(
    auto_error=False, scheme_name="hooks", description="The value of SCRIPTORIUM_HOOKS_SECRET."
)
router = APIRouter(prefix="/v1/hooks", tags=["hooks"])


class HookClosed(PermanentError):
    """This hook is closed: it has no secret or no rules."""

    code = "hook_closed"
    hint = "Set SCRIPTORIUM_HOOKS_SECRET and SCRIPTORIUM_TRIGGER_RULES and start the API again."


class HookReply(BaseModel):
    """The jobs of the event's objects, and how many objects gave none."""

    jobs: list[str]  # ids; an event that is sent again gives the same
    ignored: int  # objects that match no rule, are deleted, or cannot be a job


def open_hook(application: FastAPI) -> Intake | None:
    """Read the rules once; return None if the hook is closed. Raises InvalidRules."""
    with _opening:
        if not hasattr(application.state, "intake"):
            cluster = application.state.cluster
            settings = cluster.settings
            is_open = settings.hooks_secret is not None and settings.trigger_rules is not None
            application.state.intake = (
                open_intake(cluster, settings.trigger_rules, "hook") if is_open else None
            )
        found: Intake | None = application.state.intake
        return found


def _intake(request: Request) -> Intake:
    found = open_hook(request.app)
    if found is None:
        raise HookClosed()
    return found


Hook = Annotated[Intake, Depends(_intake)]


def _sender(
    request: Request,
    _: Hook,  # checked first: a closed hook has no secret
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    secret = cluster_of(request).settings.hooks_secret
    given = bearer.credentials.encode("latin-1") if bearer else b""  # the header's bytes
    if bearer is not None and is_refused(request, bearer.credentials):
        raise TooManyWrongKeys()
    if secret is None or not hmac.compare_digest(given, secret.get_secret_value().encode()):
        if bearer is not None:
            count_wrong(request)
        raise NotAuthenticated(
            "The hook's secret is missing or wrong.",
            hint="Send it as `Authorization: Bearer SECRET`.",
        )


@router.head("/s3", include_in_schema=False)
@router.get("/s3", responses=error_replies(404))
def check_hook(_: Hook) -> HealthReply:
    """Answer 200 if the hook is open, else 404."""
    return HealthReply(status="ok")


@router.post(
    "/s3",
    responses=error_replies(400, 401, 404, 413, 429, 503),
    dependencies=[Depends(_sender)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def take_event(request: Request, intake: Hook) -> HookReply:
    """Make a job of each new object that matches a rule; reply when the jobs are durable."""
    taken = await run_in_threadpool(_take, intake, await request.body())
    return HookReply(jobs=list(taken.jobs), ignored=taken.ignored + len(taken.refused))


def _take(intake: Intake, body: bytes) -> Taken:
    try:
        taken = intake.take(body)
    except StoreRefused as error:  # transient here: an operator can act, and the store repeats
        raise StoreUnavailable(error.message, hint=error.advice) from error
    if taken.refused:
        intake.bury(sha256(body).hexdigest(), body, taken.refused[0])
    return taken
