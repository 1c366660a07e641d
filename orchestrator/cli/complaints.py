"""Errors and warnings about files, on the standard error."""

from __future__ import annotations

from pathlib import Path

import typer

from orchestrator.jobs.local_files import STDIN, source_name


def complain(path: Path, code: str, *sentences: str) -> None:
    """Print what is wrong with a file."""
    name = source_name(path) if path.parent in (Path(), STDIN.parent) else str(path)
    typer.echo(f"{printable(name)}: {code}: {' '.join(sentences)}", err=True)


def printable(text: str) -> str:
    """Return a text without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
