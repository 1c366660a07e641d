"""What people say of a transcript's lines, over HTTP: corrected, confirmed or refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from orchestrator.access import Principal
from orchestrator.api.authentication import CurrentCluster, Reader, Writer
from orchestrator.api.correction_replies import CorrectionsReply, reply_of
from orchestrator.api.replies import error_replies
from orchestrator.api.requests import JobId
from orchestrator.jobs.requests import Body
from orchestrator.results.corrections import (
    LONGEST_TEXT,
    MOST_LINES,
    Action,
    LineChange,
    correct,
    corrections,
    published_transcript,
)

MOST_SEGMENTS = 1_000_000  # no transcript has more; a larger number is refused at once
ANONYMOUS = "anonymous"
router = APIRouter(
    prefix="/v1/jobs/{job}/corrections",
    tags=["jobs"],
    responses=error_replies(400, 401, 403, 404, 409, 413, 422, 500, 503),
)


class Line(Body):
    """A change of one line."""

    segment: int = Field(ge=0, le=MOST_SEGMENTS, description="Its place in `segments`, from 0.")
    start: float = Field(ge=0, description="Its start in seconds, as in the transcript.")
    action: Action = Field(description="`none` puts the line back as the models wrote it.")
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="What is said there, for `corrected`."
    )


class CorrectionsRequest(Body):
    """Changes of lines, all of which are stored or none."""

    run: int = Field(ge=1, le=1_000_000, description="Of the transcript that you have seen.")
    version: int = Field(
        ge=0, le=1_000_000, description="Of the corrections that you have seen; 0: none."
    )
    lines: Annotated[list[Line], Field(min_length=1, max_length=MOST_LINES)]


@router.get("")
def show_corrections(job: JobId, cluster: CurrentCluster, caller: Reader) -> CorrectionsReply:
    """Show what people have said of the lines of a job's transcript.

    They are those of the run whose transcript is shown. A retry's transcript begins with none.
    """
    run, transcript = published_transcript(cluster, caller.tenant, job)
    return reply_of(job, corrections(cluster, caller.tenant, job, run), transcript)


@router.put("")
def correct_lines(
    job: JobId, request: CorrectionsRequest, cluster: CurrentCluster, caller: Writer
) -> CorrectionsReply:
    """Correct, confirm or refuse lines, or put them back; lines that are not named stay.

    409 `correction_conflict` if one of these lines was changed after the `version` that you have
    seen, or if a retry has replaced the transcript; then nothing is stored.
    """
    changes = [LineChange(it.segment, it.start, it.action, it.text) for it in request.lines]
    said = correct(
        cluster,
        caller.tenant,
        job,
        changes,
        run=request.run,
        seen=request.version,
        by=_name(caller),
        key=caller.key_id,
    )
    return reply_of(job, said, published_transcript(cluster, caller.tenant, job)[1])


def _name(caller: Principal) -> str:
    return caller.key_name or caller.key_id or ANONYMOUS
