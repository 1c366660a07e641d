"""How many workers each pool should have, for autoscalers such as KEDA."""

from __future__ import annotations

import time

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response

from gpu_worker.errors import PermanentError
from orchestrator.api.authentication import CurrentCluster, operating
from orchestrator.api.replies import LoadReply, PoolReply, error_replies
from orchestrator.scaling.published import fresh_load, load_to_json, pool_to_json

router = APIRouter(
    prefix="/v1/autoscale",
    tags=["autoscale"],
    dependencies=[Depends(operating)],
    responses=error_replies(400, 401, 403, 413, 422, 500, 503),
)


class UnknownPool(PermanentError):
    """There is no pool of workers with that name."""

    code = "unknown_pool"
    hint = "GET /v1/autoscale lists them; SCRIPTORIUM_POOLS names them."


@router.get("", response_model=None, responses={200: {"model": LoadReply}})
def load(cluster: CurrentCluster) -> Response:
    """Show every queue and every pool. 503 while no reconciler measures the load."""
    return JSONResponse(load_to_json(fresh_load(cluster.redis, time.time())))


@router.get(
    "/{pool}",
    response_model=None,
    responses={200: {"model": PoolReply}, **error_replies(404)},
)
def pool(pool: str, cluster: CurrentCluster) -> Response:
    """Show one pool: `desired` is the number of workers that it should have."""
    found = fresh_load(cluster.redis, time.time())
    if pool not in found.pools:
        raise UnknownPool(f"There is no pool {pool!r}.")
    return JSONResponse(pool_to_json(pool, found))
