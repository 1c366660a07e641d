"""Health checks: whether this process answers, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from orchestrator.api.authentication import CurrentCluster
from orchestrator.api.replies import HealthReply, error_replies

router = APIRouter(
    tags=["health"],
    responses={200: {"model": HealthReply}, **error_replies(400, 403, 413, 422, 500)},
)


@router.get("/healthz", response_model=None)
async def healthz() -> Response:
    """Answer 200 while the process runs."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=None, responses=error_replies(503))
def readyz(cluster: CurrentCluster) -> Response:
    """Answer 200 if Redis and the store answer, else 503."""
    cluster.redis.ping()
    cluster.store.size("readyz")
    return JSONResponse({"status": "ok"})
