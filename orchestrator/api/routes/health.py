"""Health checks: whether this process answers, and whether it can work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from redis.exceptions import RedisError

from gpu_worker.errors import ScriptoriumError
from orchestrator.api.replies import HealthReply, error_replies
from orchestrator.cluster.connection import Cluster

READY_SECONDS = 1.0

router = APIRouter(
    tags=["health"],
    responses={200: {"model": HealthReply}, **error_replies(400, 403, 413, 422, 500)},
)


@router.get("/healthz", response_model=None)
async def healthz() -> Response:
    """Answer 200 while the process runs."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=None, responses=error_replies(503))
async def readyz(request: Request) -> Response:
    """Answer 200 if Redis and the store answer, else 503; both are asked once a second at most."""
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return JSONResponse({"status": "ok"})


class Readiness:
    """Whether Redis and the store answer, for any number of requests at once."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: ScriptoriumError | RedisError | None = None

    async def check(self) -> None:
        """Raise the error of Redis or the store, found READY_SECONDS ago at most."""
        async with self._checking:
            if self._clock() - self._checked_at >= READY_SECONDS:
                self._failure = await run_in_threadpool(self._ask)
                self._checked_at = self._clock()
            failure = self._failure
        if failure is not None:
            raise failure.with_traceback(None)

    def _ask(self) -> ScriptoriumError | RedisError | None:
        try:
            self._cluster.redis.ping()
            self._cluster.store.size("readyz")
        except (ScriptoriumError, RedisError) as error:
            return error
        return None
