"""Options that shape subtitles, and what subtitles violate of a profile.

`transcribe` and `get` have the options, which are named as in openai/whisper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpu_worker.assembly.subtitle_profiles import PROFILES
from gpu_worker.assembly.subtitle_report import RULES, SubtitleReport, report_of
from gpu_worker.assembly.subtitles import SubtitleOptions
from orchestrator.cli.booleans import boolean
from orchestrator.cli.context import EXIT_FAILED, AsJson, print_json
from orchestrator.cli.spellings import spellings
from orchestrator.results.subtitle_files import read_cues

PROFILE_NAMES = " or ".join(PROFILES)
app = typer.Typer(help="Check files of subtitles.", no_args_is_help=True)

Lines = Annotated[
    int | None,
    typer.Option(
        *spellings("max_line_count"), help="Most lines in a subtitle.", rich_help_panel="Files"
    ),
]
Width = Annotated[
    int | None,
    typer.Option(
        *spellings("max_line_width"), help="Most characters in a line.", rich_help_panel="Files"
    ),
]
WordsALine = Annotated[
    int | None,
    typer.Option(
        *spellings("max_words_per_line"), help="Most words in a line.", rich_help_panel="Files"
    ),
]
Highlight = Annotated[
    str,
    typer.Option(
        *spellings("highlight_words"),
        metavar="True|False",
        help="True: underline each word as it is spoken.",
        rich_help_panel="Files",
    ),
]


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help=f"Limits of srt and vtt, instead of the others: {PROFILE_NAMES}.",
        rich_help_panel="Files",
    ),
]
FrameRate = Annotated[
    float | None,
    typer.Option(
        *spellings("frame_rate"),
        help="Frames a second of the video, for --profile.",
        rich_help_panel="Files",
    ),
]


def subtitle_options(
    width: int | None,
    lines: int | None,
    words: int | None,
    highlight: str,
    profile: str | None = None,
    frame_rate: float | None = None,
) -> SubtitleOptions:
    """Make SubtitleOptions from the command line's values. Raises InvalidOption."""
    return SubtitleOptions(
        max_line_width=width,
        max_line_count=lines,
        max_words_per_line=words,
        highlight_words=boolean("highlight_words", highlight),
        profile=profile,
        frame_rate=frame_rate,
    )


def tell_violations(report: SubtitleReport) -> None:
    """Print a report to standard error: a line for each violation, and their number."""
    for it in report.violations:
        at = f"{it.start_ms // 60_000:02d}:{it.start_ms % 60_000 / 1000:06.3f}"
        found = f"{it.value:g} {RULES[it.rule]}, limit {it.limit:g}"
        typer.echo(f"cue {it.cue} at {at}: {found}", err=True)
    count = len(report.violations)
    typer.echo(f"{report.profile}: {count} violations in {report.cues} cues", err=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.srt|FILE.vtt", show_default=False)],
    profile: Annotated[str, typer.Option(help=PROFILE_NAMES + ".")],
    language: Annotated[str, typer.Option(help="Language of the subtitles.")] = "en",
    frame_rate: FrameRate = None,
    as_json: AsJson = False,
) -> None:
    """Check a file of subtitles against a profile; exit with 1 if it violates any limit."""
    report = report_of(read_cues(file), profile, frame_rate, language)
    print_json(report.to_json()) if as_json else tell_violations(report)
    if report.violations:
        raise typer.Exit(EXIT_FAILED)
