"""All commands as one application, and how an error of a command is printed."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from gpu_worker.errors import InvalidOption, ScriptoriumError, UnknownModel
from orchestrator.cli import (
    EXIT_INTERRUPTED,
    INTERRUPTED,
    audit,
    bench,
    cluster,
    collections,
    corrections,
    demo,
    doctor,
    evaluation,
    jobs,
    keys,
    listing,
    load,
    models,
    plan,
    retention,
    shadow,
    store,
    subtitles,
    transcribe,
    transcripts,
    triggers,
    usage,
    vocabulary,
    watching,
)  # fmt: skip
from orchestrator.cli.context import EXIT_FAILED, EXIT_USAGE, interruptible, remember
from tasks.telemetry.tracing import flush

_OWN_HELP = "The command's --help shows its options and their values."


class _Commands(TyperGroup):
    """All commands: the group knows which one was chosen, and so what to advise."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; of its wrong option say that its own help has the values."""
        try:
            return super().invoke(ctx)
        except InvalidOption as error:
            if error.advice == InvalidOption.hint and ctx.invoked_subcommand != "transcribe":
                error.advice = _OWN_HELP
            raise


app = typer.Typer(
    name="scriptorium",
    cls=_Commands,
    help="Transcribe audio on a cluster that loses nothing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(remember)
app.command()(transcribe.transcribe)
app.command()(demo.demo)
app.command()(jobs.submit)
app.command()(jobs.status)
app.command()(watching.watch)
app.command()(transcripts.get)
app.command()(corrections.review)
app.command(name="list")(listing.list_jobs)
app.command()(jobs.cancel)
app.command()(jobs.retry)
app.command()(jobs.rerun)
app.command()(jobs.delete)
app.command(name="dead-letters")(listing.dead_letters)
app.command()(cluster.up)
app.command()(cluster.serve)
app.command()(cluster.worker)
app.command()(cluster.reconciler)
app.command()(load.load)
app.command()(plan.plan)
app.command()(audit.audit)
app.command()(retention.retention)
app.command()(retention.hold)
app.command()(usage.usage)
app.command(name="eval")(evaluation.evaluate)
app.add_typer(bench.app, name="bench")
app.add_typer(collections.app, name="collections")
app.add_typer(corrections.app, name="corrections")
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.add_typer(shadow.app, name="shadow")
app.add_typer(store.app, name="store")
app.add_typer(subtitles.app, name="subtitles")
app.add_typer(triggers.app, name="triggers")
app.add_typer(vocabulary.app, name="vocabulary")
app.command()(doctor.doctor)


def run() -> None:
    """Run a command; on a known error print its code, what happened and what to do, and exit."""
    for stream in (sys.stdout, sys.stderr):  # a file name may hold bytes that are not valid text
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    console = Console(stderr=True, highlight=False)
    try:
        with interruptible():
            app()
    except ScriptoriumError as error:
        console.print(f"[bold red]{error.code}[/]: ", end="")
        console.print(f"{error.message}\n{error.advice}", markup=False)
        usage = isinstance(error, (InvalidOption, UnknownModel))
        sys.exit(EXIT_USAGE if usage else EXIT_FAILED)
    except KeyboardInterrupt:
        console.print(INTERRUPTED)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        flush()
