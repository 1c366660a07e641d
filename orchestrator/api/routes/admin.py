"""The routes of a tenant's administrator: API keys and dead letters."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from gpu_worker.errors import PermanentError
from orchestrator.access import NotAllowed, Scope
from orchestrator.api.authentication import Admin, CurrentCluster, Keys
from orchestrator.api.middleware.audit import DETAILS
from orchestrator.api.replies import DeadLetterList, KeyList, NewKeyReply, error_replies
from orchestrator.api.requests import KeyRequest
from orchestrator.jobs.dead_letters import dead_letters

MOST_LETTERS = 1000  # in one reply

router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    responses=error_replies(400, 401, 403, 404, 409, 413, 422, 429, 500, 503),
)


class UnknownKey(PermanentError):
    """There is no API key with that id."""

    code = "unknown_key"
    hint = "GET /v1/admin/keys lists them."


@router.get("/keys", response_model=None, responses={200: {"model": KeyList}})
def list_keys(known: Keys, caller: Admin) -> Response:
    """List the tenant's keys."""
    own = [key.to_json() for key in known.of_tenant(caller.tenant)]
    return JSONResponse({"object": "list", "data": own})


@router.post("/keys", status_code=201, response_model=None, responses={201: {"model": NewKeyReply}})
def create_key(body: KeyRequest, request: Request, known: Keys, caller: Admin) -> Response:
    """Make a key of the same tenant. Only this reply shows it."""
    if Scope.OPERATE in body.scopes and not caller.may(Scope.OPERATE):
        raise NotAllowed("Only a key with the scope 'operate' can make another one with it.")
    secret, key = known.create_own(caller.tenant, body.name, frozenset(body.scopes))
    request.scope[DETAILS] = {"key": key.id, "scopes": sorted(key.scopes)}
    return JSONResponse(key.to_json() | {"key": secret}, 201)


@router.delete("/keys/{key}", status_code=204, response_model=None)
def revoke_key(key: str, known: Keys, caller: Admin) -> Response:
    """Revoke a key of the tenant; other processes may accept it for ten seconds more."""
    if not known.revoke(key, caller.tenant):
        raise UnknownKey()
    return Response(status_code=204)


@router.get("/dead-letters", response_model=None, responses={200: {"model": DeadLetterList}})
def list_dead_letters(
    cluster: CurrentCluster,
    caller: Admin,
    all_tenants: Annotated[
        bool, Query(description="Of every tenant; needs the scope `operate` too.")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=MOST_LETTERS)] = MOST_LETTERS,
    after: Annotated[str, Query(description="`next_after` of the page before.")] = "",
) -> Response:
    """List the units of the tenant's jobs that were given up."""
    if all_tenants and not caller.may(Scope.OPERATE):
        raise NotAllowed("This needs a key with the scope 'operate' as well.")
    read = dead_letters(cluster.store, None if all_tenants else caller.tenant, after)
    found = list(islice(read, limit + 1))
    following = found[limit - 1][0] if len(found) > limit else None
    letters = [letter for _, letter in found[:limit]]
    return JSONResponse({"object": "list", "data": letters, "next_after": following})
