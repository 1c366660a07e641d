"""Options that shape subtitles, named as in openai/whisper; `transcribe` and `get` have them."""

from __future__ import annotations

from typing import Annotated

import typer

from gpu_worker.assembly.subtitles import SubtitleOptions
from orchestrator.cli.booleans import boolean
from orchestrator.cli.spellings import spellings

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


def subtitle_options(
    width: int | None, lines: int | None, words: int | None, highlight: str
) -> SubtitleOptions:
    """Make SubtitleOptions from the command line's values. Raises InvalidOption."""
    return SubtitleOptions(
        max_line_width=width,
        max_line_count=lines,
        max_words_per_line=words,
        highlight_words=boolean("highlight_words", highlight),
    )
