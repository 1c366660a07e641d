"""Read a submission: JSON that names a source, or a form with the file."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from gpu_worker.errors import PermanentError
from orchestrator.access import Principal
from orchestrator.access.quotas import quota_of
from orchestrator.api.forms import UploadForm, upload_form
from orchestrator.api.middleware.bodies import transfers_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.requests import FormRequest, JobRequest
from orchestrator.jobs.submitter import Submitter

_JSON_FIELDS = ("options", "metadata", "labels")  # of a form
Parsed = TypeVar("Parsed", bound=BaseModel)


class UnsupportedMediaType(PermanentError):
    """The body is neither JSON nor a form."""

    code = "unsupported_media_type"
    hint = "Send it as application/json, or as multipart/form-data with the audio as `file`."


async def take_submission(
    request: Request, cluster: Cluster, caller: Principal, idempotency_key: str | None
) -> Job:
    """Accept the job of a request, JSON or a form. Raises UnsupportedMediaType for others."""
    submitter = Submitter(cluster, caller.tenant, idempotency_key, "api")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        asked = parse(JobRequest, await request.body())
        return await run_in_threadpool(submitter.submit_named, asked)
    if kind != "multipart/form-data":
        raise UnsupportedMediaType()
    limit = quota_of(cluster.settings, caller.tenant).source_bytes
    async with upload_form(request, limit) as form:
        fields = form_fields(form)
        file = form.file.file
        async with transfers_of(request):
            return await run_in_threadpool(submitter.submit_file, file, form.name, fields)


def parse(model: type[Parsed], body: bytes) -> Parsed:
    """Parse a JSON body. Raises RequestValidationError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error) from error


def form_fields(form: UploadForm) -> FormRequest:
    """Parse the fields besides the file. Raises RequestValidationError."""
    values: dict[str, Any] = dict(form.fields)
    for name in _JSON_FIELDS:
        if name in values:
            try:
                values[name] = json.loads(values[name])
            except (ValueError, RecursionError):
                raise RequestValidationError(
                    [{"loc": ("body", name), "msg": "is not JSON", "type": "value_error"}]
                ) from None
    try:
        return FormRequest.model_validate(values)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> RequestValidationError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([item | {"loc": ("body", *item["loc"])} for item in found])
