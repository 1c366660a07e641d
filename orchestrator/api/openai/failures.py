"""Replies for jobs without a transcript: the job's own code and message in the envelope."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from orchestrator.api.errors import STATUSES, envelope
from orchestrator.cluster.job import Job, Status

# Errors of the cluster, not of the request.
_OURS = frozenset(
    {
        "chunk_crashed", "gpu_out_of_memory", "hub_token_missing", "internal_error",
        "library_missing", "model_gated", "retries_exhausted", "store_refused",
    }
)  # fmt: skip
# OpenAI's clients repeat a request after 409 and 5xx, and each repetition would be a new job.
_FINAL = {"x-should-retry": "false"}


def failure_of(job: Job) -> JSONResponse | None:
    """Return the reply for a job that failed or was canceled; None if it has a transcript."""
    if job.status is Status.CANCELED:
        reply = envelope(409, "The job was canceled. Send the file again.", "canceled")
    elif job.error is not None:
        code = job.error["code"]
        status = 500 if code in _OURS else STATUSES.get(code, 400)
        reply = envelope(status, f"{job.error['message']} {job.error['hint']}", code)
    else:
        return None
    reply.headers.update(_FINAL)
    return reply
