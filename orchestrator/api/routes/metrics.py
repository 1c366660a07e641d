"""GET /metrics in Prometheus's formats.

On the API's own port it needs a key with the scope `operate`; on the port for machines
(`internal.py`) it needs none.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from orchestrator.api.authentication import operating
from orchestrator.cluster.connection import Cluster
from orchestrator.scaling.readings import LoadReadings
from tasks.telemetry.exposition import make_registry
from tasks.telemetry.gpu_readings import GpuReadings

router = APIRouter(include_in_schema=False)


def install(application: FastAPI, cluster: Cluster) -> None:
    """Give the application a registry of its process's counts, the cluster's load and the GPUs."""
    settings = cluster.settings
    application.state.metrics = make_registry(
        settings.metrics_dir, GpuReadings(settings), LoadReadings(settings)
    )


@router.get("/metrics", dependencies=[Depends(operating)])
def show_metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Show all metrics, as text or as OpenMetrics by the Accept header."""
    encode, content_type = choose_encoder(accept)
    return Response(encode(request.app.state.metrics), headers={"Content-Type": content_type})
