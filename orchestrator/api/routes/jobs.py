"""Jobs over HTTP: submit, list, show, cancel, retry, rerun, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from orchestrator.access.quotas import quota_of
from orchestrator.api.authentication import CurrentCluster, Reader, Writer
from orchestrator.api.listing import cursor_of, page, place_of
from orchestrator.api.replies import JobList, JobReply, error_replies
from orchestrator.api.requests import IdempotencyKey, JobId, RerunRequest
from orchestrator.api.submissions import take_submission
from orchestrator.cluster.job import Job, Status
from orchestrator.events import job_json
from orchestrator.jobs import runs, submission
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.requests import FormRequest

MAX_PAGE = 100

router = APIRouter(
    prefix="/v1/jobs",
    tags=["jobs"],
    responses=error_replies(400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507),
)

_FORM = FormRequest.model_json_schema(ref_template="#/components/schemas/{model}")
_SUBMIT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "name": {"type": "string", "minLength": 1, "maxLength": 255},
                        "options": {"$ref": "#/components/schemas/JobOptions"},
                        "metadata": _FORM["properties"]["metadata"],
                        "webhook_url": {"type": "string", "minLength": 1, "maxLength": 2048},
                        "ready_by": _FORM["properties"]["ready_by"],
                    },
                },
                "encoding": {
                    "options": {"contentType": "application/json"},
                    "metadata": {"contentType": "application/json"},
                },
            },
        },
    }
}
_LOCATION = {"Location": {"description": "The job's path.", "schema": {"type": "string"}}}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": JobReply, "description": "The job is accepted.", "headers": _LOCATION}
}


@router.post(
    "",
    status_code=202,
    response_model=None,
    responses=_ACCEPTED | error_replies(415),
    openapi_extra=_SUBMIT_BODY,
)
async def submit_job(
    request: Request,
    cluster: CurrentCluster,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit audio. The job is durable when the reply is 202."""
    return _accepted(await take_submission(request, cluster, caller, idempotency_key))


@router.get("", response_model=None, responses={200: {"model": JobList}})
def list_jobs(
    cluster: CurrentCluster,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=255, description="A next_cursor.")] = None,
    status: Annotated[Status | None, Query(description="Jobs of this status only.")] = None,
) -> Response:
    """List jobs, newest first. With `status` a page may be short and not be the last."""
    found, behind = page(cluster, caller.tenant, limit, place_of(cursor), status)
    data = [job_json(job) for job in found]
    return JSONResponse({"object": "list", "data": data, "next_cursor": cursor_of(behind)})


@router.get("/{job}", response_model=None, responses={200: {"model": JobReply}})
def show_job(job: JobId, cluster: CurrentCluster, caller: Reader) -> Response:
    """Show a job with its status and progress."""
    return JSONResponse(job_json(cluster.job(caller.tenant, job)))


@router.post("/{job}/cancel", response_model=None, responses={200: {"model": JobReply}})
def cancel_job(job: JobId, cluster: CurrentCluster, caller: Writer) -> Response:
    """End a job without a result."""
    return JSONResponse(job_json(runs.cancel(cluster, caller.tenant, job)))


@router.post("/{job}/retry", status_code=202, response_model=None, responses=_ACCEPTED)
def retry_job(job: JobId, cluster: CurrentCluster, caller: Writer) -> Response:
    """Start the next run of a job that did not complete; finished chunks are kept."""
    quota = quota_of(cluster.settings, caller.tenant)
    return _accepted(runs.retry(cluster, caller.tenant, job, quota=quota))


@router.post("/{job}/rerun", status_code=202, response_model=None, responses=_ACCEPTED)
def rerun_job(job: JobId, body: RerunRequest, cluster: CurrentCluster, caller: Writer) -> Response:
    """Submit a finished job's audio again with other options; unaffected artifacts are used."""
    quota, due = quota_of(cluster.settings, caller.tenant), body.ready_by
    given = (cluster, caller.tenant, job, body.options)
    return _accepted(submission.rerun(*given, ready_by=due, quota=quota, way="api"))


@router.delete("/{job}", status_code=204, response_model=None)
def delete(job: JobId, cluster: CurrentCluster, caller: Writer) -> Response:
    """Delete a job with its transcript, and its audio unless another job needs it."""
    delete_job(cluster, caller.tenant, job)
    return Response(status_code=204)


def _accepted(job: Job) -> Response:
    return JSONResponse(job_json(job), 202, {"Location": f"/v1/jobs/{job.id}"})
