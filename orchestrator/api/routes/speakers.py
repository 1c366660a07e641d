"""The names of a job's speakers over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from orchestrator.api.authentication import CurrentCluster, Reader, Writer
from orchestrator.api.replies import error_replies
from orchestrator.api.requests import JobId
from orchestrator.results.speaker_names import name_speakers, speaker_names

MOST_SPEAKERS = 1000
router = APIRouter(
    prefix="/v1/jobs/{job}/speakers",
    tags=["jobs"],
    responses=error_replies(400, 401, 403, 404, 409, 422, 500, 503),
)
Names = Annotated[
    dict[str, str],
    Body(max_length=MOST_SPEAKERS, examples=[{"SPEAKER_00": "Anna", "SPEAKER_01": "Ben"}]),
]


@router.get("")
def show_speakers(job: JobId, cluster: CurrentCluster, caller: Reader) -> dict[str, str]:
    """Show the name of each speaker's label; at first the label itself."""
    return speaker_names(cluster, caller.tenant, job)


@router.put("")
def rename_speakers(
    job: JobId, names: Names, cluster: CurrentCluster, caller: Writer
) -> dict[str, str]:
    """Set the names of speakers; this replaces all names set before."""
    return name_speakers(cluster, caller.tenant, job, names)
