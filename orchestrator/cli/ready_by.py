"""The option --ready-by of the commands that make jobs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from gpu_worker.errors import InvalidOption
from orchestrator.cli.spellings import spellings
from orchestrator.jobs.ready_by import moment, seconds_from_now

ReadyBy = Annotated[
    str | None,
    typer.Option(
        *spellings("ready_by"),
        metavar="TIME",
        help="When it should be ready: a time with its zone, or from now, as '2 h'.",
    ),
]


def due(text: str | None) -> float | None:
    """Return the time of the option as seconds since 1970. Raises InvalidOption."""
    try:
        return None if text is None else moment(text, time.time())
    except ValueError as error:
        raise InvalidOption(f"--ready-by {text}: {error}.") from None


def within(text: str | None) -> float | None:
    """Return the option as seconds from a later moment. Raises InvalidOption."""
    try:
        return None if text is None else seconds_from_now(text)
    except ValueError as error:
        raise InvalidOption(f"--ready-by {text}: {error}.") from None
