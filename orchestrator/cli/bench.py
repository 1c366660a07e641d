"""`bench`: the word errors of models and compute types, and what a trial has shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from gpu_worker.accuracy.labelled import labelled_files, reference_texts
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.errors import InvalidOption, LibraryMissing
from gpu_worker.models.whisper import AUTO
from orchestrator.cli.context import (
    EXIT_FAILED,
    AsJson,
    current_settings,
    opened_cluster,
    print_json,
    tenant,
)
from orchestrator.cli.evaluation import evaluated, print_evaluation
from orchestrator.cli.options import located
from orchestrator.cli.spellings import spellings
from orchestrator.evaluation.report import Evaluation, Figure
from orchestrator.evaluation.scoring import Pair, count_word_errors
from orchestrator.evaluation.variants import Variant, make_variants
from orchestrator.results.trial import SideReport, TrialReport, trial_report, tried_jobs

app = typer.Typer(help="Compare the accuracy of models and compute types.", no_args_is_help=True)
MOST_POINTS = 1.0
USUAL_TYPE = "default"
ALIGNER = "cross_attention"  # it needs no second model; words alone are judged


@app.command()
def accuracy(
    directory: Annotated[
        Path,
        typer.Argument(help="Recordings, each with a .txt of the same stem.", show_default=False),
    ],
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Model of the reference side.")
    ] = None,
    models: Annotated[str, typer.Option(help="More models to compare, by comma.")] = "",
    compute_types: Annotated[
        str,
        typer.Option(*spellings("compute_types"), help="By comma; the first is the reference's."),
    ] = USUAL_TYPE,
    language: Annotated[
        str | None, typer.Option("-l", "--language", help="Of all files; unset: detected.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(*spellings("max_new_tokens"), help="Most tokens of a window.")
    ] = None,
    most: Annotated[
        float, typer.Option(min=0, help="Most points of word error rate above the reference.")
    ] = MOST_POINTS,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a CPU model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Transcribe a labelled set by each model and compute type: `eval` of these, in short.

    The exit status is 1 if one has more word errors than the first one, by more than --most points.
    """
    given = [model or current_settings().model, *_listed(models)]
    others = {"aligner": ALIGNER, "language": language, "max_new_tokens": max_new_tokens}
    sides = _sides(given, _listed(compute_types), others)
    found = evaluated(labelled_files(directory), sides, threads, quiet=as_json)
    wrong = found.too_wrong(most)
    if as_json:
        rows = enumerate(found.totals)
        print_json([_as_json(found, side, one, side not in wrong) for side, one in rows])
    else:
        print_evaluation(found)
        for side in wrong:
            typer.echo(
                f"{sides[side].given} has {found.points_above(side):.2f} points more word errors "
                f"than {sides[0].given}; at most {most:g} are accepted.",
                err=True,
            )
    if wrong:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def trial(
    reference: Annotated[
        Path | None,
        typer.Option(help="Directory of texts; talk.txt is what is said in the job of talk.mp3."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of newest jobs to look at.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """Compare the completed jobs of both sides of the trial that SCRIPTORIUM_TRIAL started."""
    texts = reference_texts(reference) if reference is not None else {}
    jobs = tried_jobs(opened_cluster(), tenant(), limit)
    report = trial_report(jobs, texts, _counted)
    if as_json:
        print_json(_trial_json(report))
    else:
        _show_trial(report)


def _sides(models: Sequence[str], types: Sequence[str], others: dict[str, Any]) -> list[Variant]:
    """Return the sides of each model with each compute type, the reference side first.

    Raises InvalidOption or UnknownModel.
    """
    usual = {name: value for name, value in others.items() if value is not None}
    sides = [
        (f"{model} {kind}", {"model": located(model), "compute_type": kind})
        for model in dict.fromkeys(models)
        for kind in dict.fromkeys(types)
    ]
    if len(sides) < 2 and sides[0][1]["model"] != AUTO:
        raise InvalidOption(
            "There is nothing to compare.",
            hint="Name two compute types, --compute-types float32,int8, or another of --models.",
        )
    return make_variants(sides, usual)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _as_json(found: Evaluation, side: int, one: Figure, accepted: bool) -> dict[str, Any]:
    options, seconds = found.sides[side].options, one.device_seconds
    return {
        "model": options.model,
        "compute_type": options.compute_type,
        "words": one.words.words,
        "errors": one.words.errors,
        "wer": round(one.words.rate, 6),
        "points_above": round(found.points_above(side), 4),
        "seconds": round(seconds, 3),
        "audio_seconds": round(one.audio_seconds, 3),
        "real_time_factor": round(seconds / one.audio_seconds, 6) if one.audio_seconds else None,
        "accepted": accepted,
    }


def _show_trial(report: TrialReport) -> None:
    rows: list[tuple[str, Callable[[SideReport], str]]] = [
        ("model and compute type", lambda side: ", ".join(side.variants)),
        ("jobs", lambda side: str(side.jobs)),
        ("audio s", lambda side: f"{side.audio_seconds:.1f}"),
        ("realtime factor", lambda side: _number(side.real_time_factor)),
        ("avg_logprob", lambda side: _number(side.avg_logprob)),
        ("word probability", lambda side: _number(side.word_probability)),
        ("words a minute", lambda side: _number(side.words_a_minute, 1)),
        ("WER %", lambda side: _rate(side.error)),
    ]
    table = Table("", *(Column(name, justify="right") for name in report.sides), box=None)
    for title, show in rows:
        table.add_row(title, *map(show, report.sides.values()))
    Console(highlight=False, markup=False).print(table)
    typer.echo(f"{report.same_audio} recordings were transcribed by both sides.")
    if report.disagreement is not None:
        typer.echo(f"In them {_rate(report.disagreement)} % of the control side's words differ.")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _rate(error: WordError | None) -> str:
    return "" if error is None else f"{100 * error.rate:.2f}"


def _counted(pairs: Sequence[Pair]) -> list[WordError]:
    """Count word errors; where the libraries are missing say so, and count none."""
    try:
        return count_word_errors(pairs)
    except LibraryMissing as error:
        typer.echo(f"{error.message} {error.advice}", err=True)
        return []


def _trial_json(report: TrialReport) -> dict[str, Any]:
    return {
        "sides": {
            name: asdict(side) | {"error": _error_json(side.error)}
            for name, side in report.sides.items()
        },
        "same_audio": report.same_audio,
        "disagreement": _error_json(report.disagreement),
    }


def _error_json(error: WordError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    wer = round(error.rate, 6) if error.words else None  # JSON has no NaN
    return {"words": error.words, "errors": error.errors, "wer": wer}
