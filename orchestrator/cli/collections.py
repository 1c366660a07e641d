"""Commands for collections: `collections submit`, `status`, `watch`, `list`, `lines`, `retry`, …"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from gpu_worker.errors import InvalidOption
from orchestrator.cli.audit import enter
from orchestrator.cli.collection_lines import collection_name, counts, head, sentence
from orchestrator.cli.context import (
    EXIT_COMPLETE,
    EXIT_FAILED,
    EXIT_PARTIAL,
    AsJson,
    check_interrupted,
    opened_cluster,
    print_json,
    tenant,
)
from orchestrator.cli.labels import Labels
from orchestrator.cli.options import with_job_options
from orchestrator.cli.ready_by import ReadyBy, due
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.collections import control, deletion
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.lists import read_list
from orchestrator.collections.local_lists import named_lines, stored
from orchestrator.collections.objects import below
from orchestrator.collections.records import CollectionOutOfBounds, Line
from orchestrator.jobs.labels import parse_labels
from tasks.runs.options import JobOptions

CollectionId = Annotated[str, typer.Argument(metavar="COLLECTION", show_default=False)]
LISTS = (".csv", ".jsonl")
SHOWN = 20  # bad lines under a status
POLL_SECONDS = 1.0
app = typer.Typer(help="Submit many files at once, under one id.", no_args_is_help=True)


@app.command()
@with_job_options
def submit(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="LIST|s3://BUCKET/PREFIX/|FILE...",
            show_default=False,
            help="A list (.csv, .jsonl), a prefix that ends with /, or files and addresses.",
        ),
    ],
    options: JobOptions,
    suffix: Annotated[
        list[str] | None, typer.Option(help="Of a prefix: objects that end so; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the collection, for people.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="A text of yours: the same gives the same collection.")
    ] = None,
    label: Labels = None,
    ready_by: ReadyBy = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until all have ended; the exit status says how.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit many files and print the collection's id. A bad line stops no other."""
    labels, due_at, to = parse_labels(label or ()), due(ready_by), opened_cluster()
    common, first = options.model_dump(mode="json", exclude_unset=True), sources[0]
    is_prefix = len(sources) == 1 and first.startswith("s3://") and first.endswith("/")
    is_list = len(sources) == 1 and first.lower().endswith(LISTS) and "://" not in first
    if suffix and not is_prefix:
        raise InvalidOption("--suffix is for a prefix of a bucket, which ends with /.")
    if is_prefix:
        lines, base = below(to, first, suffix or (), checks=False), Path()
    elif is_list:
        lines, base = read_list(_read(Path(first)), first, common), Path(first).parent
    else:
        lines, base = named_lines(sources, common), Path()
    if len(lines) > to.settings.collection_lines:  # before files are uploaded
        raise CollectionOutOfBounds(f"It has {len(lines)} lines.")
    asked = Asked(
        name=collection_name(name, Path(first).name if is_list else first),
        options=common,
        labels=labels,
        idempotency_key=idempotency_key,
        is_operators=True,
        ready_by=due_at,
        lines_from=repr([line.asked() for line in lines] if not is_prefix else sources),
    )
    record = accept(to, tenant(), asked, _checked(stored(to, tenant(), lines, base)))
    enter(to, "collection.submit", tenant(), collection=record.id)
    ended = _wait(to, record.id, as_json=as_json) if wait else None
    if as_json:
        print_json(ended or control.show(to, tenant(), record.id))
    else:
        typer.echo(record.id)
    if ended is not None:
        raise typer.Exit(_exit_status(ended["status"]))


@app.command()
def status(collection: CollectionId, as_json: AsJson = False) -> None:
    """Show a collection's progress, its counts, and the lines that failed."""
    to = opened_cluster()
    shown = control.show(to, tenant(), collection)
    print_json(shown) if as_json else _show(to, shown)


@app.command()
def watch(collection: CollectionId, as_json: AsJson = False) -> None:
    """Wait until all lines have ended; the exit status says how."""
    to = opened_cluster()
    ended = _wait(to, collection, as_json=as_json)
    print_json(ended) if as_json else _show(to, ended)
    raise typer.Exit(_exit_status(ended["status"]))


@app.command("list")
def list_collections(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest collections."""
    found, _ = control.newest(opened_cluster(), tenant(), limit)
    if as_json:
        print_json(found)
        return
    table = Table(Column("collection", no_wrap=True), "name", "status", "done", box=None)
    for it in found:
        done = "{completed} of {total}".format_map(it["counts"])
        table.add_row(it["id"], repr(it["name"])[1:-1], it["status"], done)
    Console(highlight=False, markup=False).print(table)


@app.command()
def lines(
    collection: CollectionId,
    status: Annotated[
        list[str] | None, typer.Option(help="failed, refused, completed, …; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Number to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the lines of a collection: the job of each, or why it is none."""
    found, _ = control.lines_of(opened_cluster(), tenant(), collection, status or (), limit)
    if as_json:
        print_json(found)
        return
    for line in found:
        typer.echo(sentence(line))


@app.command()
def retry(
    collection: CollectionId,
    status: Annotated[
        list[str] | None,
        typer.Option(help="failed (with what was refused), partial or canceled; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do the failed lines again, and only those."""
    to = opened_cluster()
    shown = control.retry(to, tenant(), collection, status or ("failed",))
    enter(to, "collection.retry", tenant(), collection=collection)
    print_json(shown) if as_json else typer.echo(head(shown))


@app.command()
def cancel(collection: CollectionId, as_json: AsJson = False) -> None:
    """Cancel what has not ended, and make no more jobs."""
    to = opened_cluster()
    shown = control.cancel(to, tenant(), collection)
    enter(to, "collection.cancel", tenant(), collection=collection)
    print_json(shown) if as_json else typer.echo(head(shown))


@app.command()
def delete(collection: CollectionId) -> None:
    """Delete a collection with its list and all of its jobs, by the reconciler."""
    to = opened_cluster()
    deletion.delete(to, tenant(), collection)
    enter(to, "collection.delete", tenant(), collection=collection)
    typer.echo(f"Collection {collection} is deleted.")


def _checked(lines: Iterator[Line]) -> list[Line]:
    found = []
    for line in lines:
        check_interrupted()
        found.append(line)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidOption(f"{path} cannot be read: {error.strerror}.") from error


def _wait(cluster: Cluster, collection: str, *, as_json: bool) -> dict[str, Any]:
    """Show the progress until all lines have ended; return how the collection stands then."""
    bar = Progress(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}", markup=False),
        console=Console(stderr=True),
        disable=as_json or not sys.stderr.isatty(),
    )
    with bar:
        row = bar.add_task("", total=1.0, state="")
        while True:
            check_interrupted()
            shown = control.show(cluster, tenant(), collection)
            bar.update(row, completed=shown["progress"], state=counts(shown))
            if shown["ended_at"] is not None:
                return shown
            time.sleep(POLL_SECONDS)


def _exit_status(status: str) -> int:
    if status == Status.COMPLETED:
        return EXIT_COMPLETE
    return EXIT_PARTIAL if status == Status.PARTIAL else EXIT_FAILED


def _show(cluster: Cluster, shown: dict[str, Any]) -> None:
    typer.echo(head(shown))
    bad, more = control.lines_of(cluster, tenant(), shown["id"], ("failed", "refused"), SHOWN)
    for line in bad:
        typer.echo(sentence(line))
    if more is not None:
        typer.echo(f"`scriptorium collections lines {shown['id']} --status failed` shows more.")
