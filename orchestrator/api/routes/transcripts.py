"""Transcripts over HTTP, in all formats."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gpu_worker.assembly.formats import FORMATS
from gpu_worker.assembly.subtitle_profiles import FRAME_RATES, PROFILES
from gpu_worker.assembly.subtitles import SubtitleOptions
from orchestrator.api.authentication import CurrentCluster, Reader
from orchestrator.api.replies import error_replies
from orchestrator.api.requests import JobId
from orchestrator.results.files import render_result, report_subtitles

router = APIRouter(
    prefix="/v1/jobs",
    tags=["jobs"],
    responses=error_replies(400, 401, 403, 404, 409, 422, 500, 503),
)
FormatName = StrEnum("FormatName", {name.upper(): name for name in FORMATS})  # type: ignore[misc]
_JSON = FormatName("json")
ProfileName = StrEnum("ProfileName", {name.upper(): name for name in PROFILES})  # type: ignore[misc]
FrameRate = Annotated[
    float | None,
    Query(ge=FRAME_RATES[0], le=FRAME_RATES[1], description="Of the video, for a profile."),
]


class Corrections(StrEnum):
    """Whether a transcript is shown with what people have said of its lines."""

    ON = "on"
    OFF = "off"


_TEXT = {"schema": {"type": "string"}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_TRANSCRIPT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            **{
                form.media_type.partition(";")[0]: _TEXT if form.is_text else _BYTES
                for form in FORMATS.values()
                if form.name != "json"
            },
        },
    }
}


@router.get(
    "/{job}/transcript", response_model=None, response_class=Response, responses=_TRANSCRIPT
)
def show_transcript(
    job: JobId,
    cluster: CurrentCluster,
    caller: Reader,
    format: FormatName = _JSON,
    max_line_width: Annotated[int | None, Query(ge=1, le=1000)] = None,
    max_line_count: Annotated[int | None, Query(ge=1, le=1000)] = None,
    max_words_per_line: Annotated[int | None, Query(ge=1, le=1000)] = None,
    highlight_words: bool = False,
    corrections: Annotated[
        Corrections, Query(description="off: as the models wrote it; no line is changed.")
    ] = Corrections.ON,
    profile: Annotated[
        ProfileName | None, Query(description="Limits of srt and vtt, instead of the others.")
    ] = None,
    frame_rate: FrameRate = None,
    download: Annotated[bool, Query(description="As a file with a name.")] = False,
) -> Response:
    """Fetch the transcript; 409 `not_finished` while there is none. The options shape srt and vtt.

    While a retry runs, and if it fails, it is that of the last run that has one: `run` in json.
    A job without any has failed or was canceled: its `error` says why.
    """
    options = SubtitleOptions(
        max_line_width,
        max_line_count,
        max_words_per_line,
        highlight_words,
        None if profile is None else str(profile),
        frame_rate,
    )
    corrected = corrections is Corrections.ON
    content = render_result(cluster, caller.tenant, job, str(format), options, corrected=corrected)
    form = FORMATS[str(format)]
    headers = {}
    if download:
        name = cluster.job(caller.tenant, job).name
        headers["Content-Disposition"] = attachment(PurePosixPath(name).stem + form.extension)
    return Response(content, media_type=form.media_type, headers=headers)


@router.get("/{job}/subtitle-report")
def show_subtitle_report(
    job: JobId,
    cluster: CurrentCluster,
    caller: Reader,
    profile: ProfileName,
    frame_rate: FrameRate = None,
) -> dict[str, Any]:
    """List what the subtitles made for a profile violate of it all the same.

    Each violation has the cue's number in srt, its times, the rule, the value and the limit.
    """
    report = report_subtitles(cluster, caller.tenant, job, str(profile), frame_rate)
    return report.to_json()


def attachment(name: str) -> str:
    """Return a Content-Disposition with the name in ASCII and in UTF-8 (RFC 5987)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
