"""`eval`: transcribe a labelled set by two sides or more, and say which is better."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from config.settings import Settings
from gpu_worker.accuracy.labelled import LabelledFile, labelled_files
from gpu_worker.errors import InvalidOption, ScriptoriumError
from gpu_worker.transcription.languages import written_language
from orchestrator.cli.bars import watch_jobs
from orchestrator.cli.context import EXIT_FAILED, current_settings
from orchestrator.cli.options import located, parse_values
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.evaluation.report import Evaluation, make_evaluation
from orchestrator.evaluation.scoring import NO_LANGUAGE, score
from orchestrator.evaluation.tables import drawn, measures_table, recordings_table
from orchestrator.evaluation.transcribing import HeardFile, transcribed
from orchestrator.evaluation.variants import Variant, make_variants, split_values
from orchestrator.usage.prices import prices_of
from tasks.runs.options import JobOptions

_WIDTH = 200  # columns of tables that go to a file or a pipe
_MODELS = ("model", "align_model", "diarize_model")  # which may be directories


def evaluate(
    labelled_set: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="Directory of recordings, each with a .txt of the same stem; also .rttm, .stm, "
            ".words.json.",
            show_default=False,
        ),
    ],
    a: Annotated[
        str,
        typer.Option("--a", help="The reference side: model=tiny.en,beam_size=5,engine=torch, …"),
    ],
    b: Annotated[list[str], typer.Option("--b", help="What is compared with it; may be repeated.")],
    language: Annotated[
        str | None, typer.Option("-l", "--language", help="Of all files; unset: detected.")
    ] = None,
    most: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with 1 if a side has more points of WER above --a's."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a CPU model.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures there; -: print them.")
    ] = None,
) -> None:
    """Transcribe a labelled set by two sides or more, each on a cluster that is started for it.

    Prints word errors, speakers, word times, speed and cost by recording and in all, and which side
    is better by more than chance.
    """
    usual = {} if language is None else {"language": language}
    sides = make_variants([(text, parsed_side(text)) for text in (a, *b)], usual)
    is_printed = json_file is not None and str(json_file) == "-"
    found = evaluated(labelled_files(labelled_set), sides, threads, quiet=is_printed)
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False)
    if is_printed:
        typer.echo(text)
    else:
        print_evaluation(found)
        if json_file is not None:
            _write(json_file, text)
    wrong = found.too_wrong(most) if most is not None else []
    for side in wrong:
        typer.echo(
            f"{sides[side].given} has {found.points_above(side):.2f} points more word errors than "
            f"{sides[0].given}; at most {most:g} are accepted.",
            err=True,
        )
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def parsed_side(text: str) -> dict[str, Any]:
    """Return the values of a side; a model that is a directory by its whole path."""
    values = parse_values(split_values(text))
    return {name: located(it) if name in _MODELS else it for name, it in values.items()}


def evaluated(
    files: Sequence[LabelledFile], sides: Sequence[Variant], threads: int | None, *, quiet: bool
) -> Evaluation:
    """Transcribe the recordings by each side in turn, and score them.

    Raises what `transcribed` and `score` raise.
    """
    values = current_settings()
    if threads is not None:
        values = values.model_copy(update={"cpu_threads": threads})
    heard: list[list[HeardFile]] = []
    found = transcribed(files, sides, values, _watch)
    try:
        for number, side in enumerate(sides, 1):
            if not quiet:
                told = f"{number} of {len(sides)}: {side.given}, {len(files)} recordings"
                typer.echo(told, err=True)
            heard.append(next(found))
    except ScriptoriumError:
        if heard and not quiet:  # minutes of work are not lost by a later side's error
            print_evaluation(_scored(files, sides[: len(heard)], heard, values))
        raise
    finally:
        found.close()
    return _scored(files, sides, heard, values)


def _scored(
    files: Sequence[LabelledFile],
    sides: Sequence[Variant],
    heard: Sequence[Sequence[HeardFile]],
    values: Settings,
) -> Evaluation:
    tells_speakers = any(it.options.diarizes or it.options.channels == "split" for it in sides)
    requests = [
        {
            "reference": file.reference_json(with_speakers=tells_speakers),
            "language": _language(sides[0].options, of_file[0].transcript),
            "heard": [each.transcript for each in of_file],
        }
        for file, of_file in zip(files, zip(*heard, strict=True), strict=True)
    ]  # fmt: skip
    names = [file.name for file in files]
    return make_evaluation(sides, names, heard, score(requests), prices_of(values))


def _language(options: JobOptions, transcript: Mapping[str, Any]) -> str:
    """Return the language of a side's text; the texts of the set are in it too."""
    spoken = options.language or transcript["language"]
    return written_language(options.task, spoken) or NO_LANGUAGE


def _watch(cluster: Cluster, jobs: list[Job], check: Callable[[], None]) -> list[Job]:
    return watch_jobs(cluster, jobs[0].tenant, jobs, quiet=True, check=check)


def print_evaluation(found: Evaluation) -> None:
    """Print the tables."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # a file or a pipe is as wide as the tables need
        console.width = _WIDTH
    for side in found.sides:
        typer.echo(f"{side.name}: {side.given}")
    console.print()
    console.print(recordings_table(found))
    console.print()
    console.print(measures_table(found))
    for sentence in drawn(found):
        typer.echo(sentence)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidOption(f"{path} cannot be written: {error.strerror}.") from error
