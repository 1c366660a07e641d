"""The command `get`: a job's transcript in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpu_worker.assembly.formats import format_named
from gpu_worker.errors import InvalidOption
from orchestrator.cli.audit import enter
from orchestrator.cli.context import AsJson, opened_cluster, tenant
from orchestrator.cli.jobs import JobId
from orchestrator.cli.subtitles import (
    FrameRate,
    Highlight,
    Lines,
    ProfileName,
    Width,
    WordsALine,
    subtitle_options,
    tell_violations,
)
from orchestrator.results.files import FORMAT_NAMES, parse_formats, render_result, report_subtitles


def get(
    job: JobId,
    form: Annotated[str, typer.Option("-f", "--format", help=f"One of {FORMAT_NAMES}.")] = "txt",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; by default it is printed.")
    ] = None,
    max_line_width: Width = None,
    max_line_count: Lines = None,
    max_words_per_line: WordsALine = None,
    highlight_words: Highlight = "False",
    profile: ProfileName = None,
    frame_rate: FrameRate = None,
    no_corrections: Annotated[
        bool, typer.Option("--no-corrections", help="As the models wrote it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a job's transcript. Another format or other line lengths need no new computation.

    What subtitles violate of a profile is printed to standard error.
    """
    chosen = parse_formats("json" if as_json else form)
    if len(chosen) != 1:
        raise InvalidOption("`get` prints one format at a time.", hint="Ask for json, txt or srt.")
    lines = subtitle_options(
        max_line_width, max_line_count, max_words_per_line, highlight_words, profile, frame_rate
    )
    to = opened_cluster()
    corrected = not no_corrections
    content = render_result(to, tenant(), job, chosen[0], lines, corrected=corrected)
    if to.settings.audit_reads != "none":
        enter(to, "job.export", tenant(), job, format=chosen[0])
    if profile is not None:
        tell_violations(report_subtitles(to, tenant(), job, profile, frame_rate))
    if output is None:
        is_text = format_named(chosen[0]).is_text
        typer.echo(content.decode("utf-8") if is_text else content, nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise InvalidOption(f"{output} cannot be written: {error.strerror}.") from error
