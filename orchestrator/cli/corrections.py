"""Commands for what people say of lines: `review`, `corrections show`, `corrections export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from orchestrator.cli.audit import enter
from orchestrator.cli.context import AsJson, opened_cluster, print_json, tenant
from orchestrator.cluster.connection import Cluster
from orchestrator.results.corrections import (
    Corrections,
    corrections,
    published_transcript,
)
from orchestrator.results.labelled_lines import export_labelled

JobId = Annotated[str, typer.Argument(metavar="JOB", show_default=False)]
app = typer.Typer(
    help="What people have said of lines: corrected, confirmed or refused.", no_args_is_help=True
)


def review(
    job: JobId,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Number of places to show; by default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where a transcript may be wrong: place, doubt, reasons and text, worst first.

    Lines that people have corrected, confirmed or refused are left out.
    """
    to = opened_cluster()
    said, transcript = _read(to, job)
    places = _places(transcript, said)[:limit]
    if as_json:
        print_json(places)
        return
    table = Table(Column("place", no_wrap=True), "doubt", "reasons", "text", box=None)
    for place in places:
        span = f"{_clock(place['start'])}-{_clock(place['end'])}"
        codes = ", ".join(place["codes"])
        table.add_row(span, f"{place['doubt']:.2f}", codes, place.get("text", ""))
    Console(highlight=False, markup=False).print(table)


@app.command()
def show(job: JobId, as_json: AsJson = False) -> None:
    """Show what people have said of a job's lines, with who and when."""
    to = opened_cluster()
    said, transcript = _read(to, job)
    if as_json:
        lines = [{"segment": at, **line.to_json()} for at, line in said.standing.items()]
        print_json({"run": said.run, "version": said.version, "lines": lines})
        return
    table = Table(Column("place", no_wrap=True), "line", "by", "text", box=None)
    for at, line in said.standing.items():
        segment = transcript["segments"][at]
        text = segment["text"] if line.text is None else line.text
        table.add_row(_clock(segment["start"]), line.action, repr(line.by)[1:-1], text)
    Console(highlight=False, markup=False).print(table)


@app.command()
def export(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", show_default=False)],
    directory: Annotated[
        Path, typer.Option("-o", "--output-dir", help="Where to write the clips and texts.")
    ],
) -> None:
    """Write corrected and confirmed lines as a labelled set: a clip and a text for each.

    `scriptorium bench accuracy` measures models with it. Lines of a translation are left out.
    """
    to = opened_cluster()
    total = 0
    for job in jobs:
        written = export_labelled(to, tenant(), job, directory)
        enter(to, "corrections.export", tenant(), job, clips=len(written.clips))
        total += len(written.clips)
        if written.translated:
            left_out = f"{job}: {written.translated} of a translation left out"
            typer.echo(f"{left_out}, as what is said is in another language.", err=True)
    typer.echo(f"{total} {'clip' if total == 1 else 'clips'} in {directory}")


def _read(to: Cluster, job: str) -> tuple[Corrections, dict[str, Any]]:
    run, transcript = published_transcript(to, tenant(), job)
    if to.settings.audit_reads != "none":
        enter(to, "corrections.show", tenant(), job)
    return corrections(to, tenant(), job, run), transcript


def _places(transcript: dict[str, Any], said: Corrections) -> list[dict[str, Any]]:
    """Return the places that are not settled, each with its line's text if it has one."""
    return [
        {**place, "text": transcript["segments"][place["segment"]]["text"]}
        if "segment" in place
        else dict(place)
        for place in transcript.get("review", ())
        if place.get("segment") not in said.standing
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
