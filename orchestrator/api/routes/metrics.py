"""GET /metrics in Prometheus' formats: with a key that may operate on the API's own port, without
one on the port for machines (`internal.py`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from orchestrator.api.authentication import operating
from orchestrator.cluster.connection import Cluster
from orchestrator.scaling.readings import LoadReadings
from tasks.telemetry.exposition import make_registry

router = APIRouter(include_in_schema=False)


def install(application: FastAPI, cluster: Cluster) -> None:
    """Let the application tell what its process has counted, the cluster's load and the GPUs."""
    settings = cluster.settings
    application.state.metrics = make_registry(settings.metrics_dir, LoadReadings(settings))


@router.get("/metrics", dependencies=[Depends(operating)])
def show_metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Everything, as text or as OpenMetrics by what is accepted."""
    encode, content_type = choose_encoder(accept)
    return Response(encode(request.app.state.metrics), headers={"Content-Type": content_type})
