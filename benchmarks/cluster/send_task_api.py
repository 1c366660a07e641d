"""The peer of `front_door`: a route that hands its body to Celery and keeps nothing.

    python -m benchmarks.cluster.send_task_api PORT

It starts a Redis of its own, so that the two do not wait for each other's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from celery import Celery
from fastapi import Body, FastAPI

from orchestrator.local.redis_server import RedisServer


def make_application(redis_url: str) -> FastAPI:
    celery = Celery("peer", broker=redis_url)
    application = FastAPI()

    @application.post("/jobs", status_code=202)
    def submit(body: dict[str, Any] = Body()) -> dict[str, str]:  # noqa: B008
        job = uuid4().hex
        celery.send_task("transcribe", kwargs={"job": job, **body}, task_id=job)
        return {"id": job, "status": "queued"}

    @application.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return application


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        server = RedisServer(Path(name))
        server.start()
        try:
            uvicorn.run(
                make_application(server.url),
                host="127.0.0.1",
                port=int(sys.argv[1]),
                access_log=False,
            )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
