"""`transcribe`: read files and write transcripts, on a running cluster or a temporary one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.errors import ScriptoriumError
from gpu_worker.models.capabilities import wanted_models
from gpu_worker.models.whisper import AUTO, cached_model, find_model
from orchestrator.cli.audit import enter
from orchestrator.cli.bars import watch_jobs
from orchestrator.cli.complaints import complain, printable
from orchestrator.cli.context import (
    EXIT_FAILED,
    check_home,
    configured_cluster,
    current_settings,
    exit_status,
)
from orchestrator.cli.options import with_job_options
from orchestrator.cli.output_names import distinct, output_stems, plain_stem
from orchestrator.cli.ready_by import ReadyBy, due
from orchestrator.cli.secrets import HubToken, HubTokenFile, hub_token
from orchestrator.cli.speakers import KnownSpeakers, with_known_speakers
from orchestrator.cli.spellings import spellings
from orchestrator.cli.subtitles import Highlight, Lines, Width, WordsALine, subtitle_options
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Job
from orchestrator.jobs.local_files import local_path
from orchestrator.jobs.options import allowing
from orchestrator.jobs.runs import cancel
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.cluster import LocalCluster
from orchestrator.local.fitness import check_workers
from orchestrator.results.files import FORMAT_NAMES, endings, parse_formats, write_results
from tasks.runs.options import JobOptions
from tasks.telemetry.tracing import holds_spans

SHOWN_NAMES = 5  # most renamed transcripts that are listed
TRACES_SECONDS = 10.0  # how long local workers may take to end and to send their spans


@with_job_options
def transcribe(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False)],
    options: JobOptions,
    output_dir: Annotated[
        Path, typer.Option("-o", *spellings("output_dir"), help="Directory of the transcripts.")
    ] = Path(),
    output_format: Annotated[
        str,
        typer.Option("-f", *spellings("output_format"), help=f"{FORMAT_NAMES}, or all."),
    ] = "all",
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="GPU workers to start on this machine.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    model_dir: Annotated[
        Path | None, typer.Option(*spellings("model_dir"), help="Directory of fetched models.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that a model uses on the CPU, in each worker."),
    ] = None,
    hf_token: HubToken = None,
    hf_token_file: HubTokenFile = None,
    known_speaker: KnownSpeakers = None,
    ready_by: ReadyBy = None,
    max_line_width: Width = None,
    max_line_count: Lines = None,
    max_words_per_line: WordsALine = None,
    highlight_words: Highlight = "False",
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print only errors and warnings.")
    ] = False,
) -> None:
    """Transcribe local files and write the transcripts; `-` is standard input.

    Use the configured cluster (REDIS_URL), or the one that runs on this machine, or start one
    and stop it at the end.
    """
    due_at = due(ready_by)
    paths = distinct([local_path(file) for file in files])
    formats = parse_formats(output_format)
    stems = output_stems(paths, output_dir, endings(formats))
    lines = subtitle_options(max_line_width, max_line_count, max_words_per_line, highlight_words)
    given = {
        "device": device,
        "model_dir": model_dir,
        "cpu_threads": threads,
        "hf_token": hub_token(hf_token, hf_token_file),
    }
    values = current_settings().model_copy(update={k: v for k, v in given.items() if v is not None})
    if not quiet:
        _tell_names(stems)
        _tell_fetching(values, options.model)
    with local_cluster(values, workers, options) as (cluster, check):
        options = with_known_speakers(cluster, values.tenant, options, known_speaker)
        jobs = submit_all(cluster, values.tenant, paths, options, due_at)
        accepted = list(jobs.values())
        try:
            ended = watch_jobs(cluster, values.tenant, accepted, quiet=quiet, check=check)
        except KeyboardInterrupt:
            _abandon(cluster, values.tenant, accepted)
            raise
        if options.model == AUTO and not quiet:
            _tell_models(ended)
        results = dict(zip(jobs, ended, strict=True))
        write_all(cluster, results, output_dir, formats, lines, quiet, stems)
    raise typer.Exit(EXIT_FAILED if len(jobs) < len(paths) else exit_status(ended))


@contextmanager
def local_cluster(
    values: Settings, workers: int | None, options: JobOptions
) -> Iterator[tuple[Cluster, Callable[[], None]]]:
    """Yield the configured or running cluster, or one that is started for the block.

    Also yields a function that raises WorkersUnfit if no worker of this process can work.
    """
    configured = configured_cluster(values) if workers is None or values.store_url else None
    if configured is not None and workers is None:
        if values != current_settings():
            typer.echo("Workers run already: their device, threads and models stay.", err=True)
        yield open_cluster(configured), lambda: None
        return
    check_home(values)
    own = allowing(configured or values, options)
    with LocalCluster(own, workers=workers, adopt=False) as cluster:
        yield cluster.services, partial(check_workers, cluster.supervisor)
        if holds_spans(values):
            cluster.close(TRACES_SECONDS)


def submit_all(
    cluster: Cluster,
    tenant: str,
    files: list[Path],
    options: JobOptions,
    ready_by: float | None = None,
) -> dict[Path, Job]:
    """Submit files and return the accepted jobs; report each refused file.

    Raises ScriptoriumError if there is one file and it is refused.
    """
    jobs: dict[Path, Job] = {}
    for path in files:
        try:
            source = upload(cluster, path, tenant)
            jobs[path] = submit(cluster, source, options, tenant=tenant, ready_by=ready_by)
            enter(cluster, "job.submit", tenant, jobs[path].id)
        except ScriptoriumError as error:
            if len(files) == 1:
                raise
            complain(path, error.code, error.message, error.advice)
    return jobs


def write_all(
    cluster: Cluster,
    jobs: dict[Path, Job],
    directory: Path,
    formats: tuple[str, ...],
    lines: SubtitleOptions,
    quiet: bool,
    stems: Mapping[Path, str] | None = None,
) -> list[Path]:
    """Write the transcripts into `directory`, print warnings and errors, return the paths.

    `stems` are the transcripts' paths without extension (None: made from the files' names).
    """
    stems = stems or output_stems(list(jobs), directory, endings(formats))
    _tell_warnings(jobs)
    written: list[Path] = []
    for path, job in jobs.items():
        if job.error is not None:
            complain(path, job.error["code"], job.error["message"], job.error["hint"])
            continue
        written += write_results(
            cluster, job.tenant, job.id, stems[path], directory, formats, lines
        )
    for file in () if quiet else written:
        typer.echo(str(file))
    return written


def _tell_warnings(jobs: Mapping[Path, Job]) -> None:
    """Print the warnings of the jobs.

    One about a place is printed for each file; one about a whole file once for each code, with
    the number of other files that have it.
    """
    alike: dict[str, list[Path]] = {}
    for path, job in jobs.items():
        for warning in job.warnings:
            paths = alike.setdefault(warning["code"], [path])
            if warning.get("start") is not None or path == paths[0]:
                complain(path, warning["code"], warning["message"])
            elif path not in paths:
                paths.append(path)
    for code, paths in alike.items():
        if len(paths) > 1:
            typer.echo(f"{code}: likewise in {len(paths) - 1} other files.", err=True)


def _tell_fetching(values: Settings, model: str) -> None:
    """Print that the first job is slow, if the local cluster must fetch its model."""
    wanted = {wanted_models(device, None, "transcribe")[0] for device in ("cpu", "cuda")}
    names = wanted if model == AUTO else {model}
    directory = str(values.model_dir) if values.model_dir else None
    sources = [find_model(name) for name in names]
    if configured_cluster(values) is None and all(source.repository for source in sources):
        with suppress(ImportError):  # the worker extra is not installed
            if not any(cached_model(source, directory) for source in sources):
                typer.echo("The first job fetches its model, for minutes on a slow line.", err=True)


def _tell_models(jobs: list[Job]) -> None:
    """Print which models the workers have chosen, and how to choose another."""
    names = ", ".join(sorted({job.model for job in jobs} - {AUTO}))
    if names:
        typer.echo(f"Model: {names}. Another: --model NAME (`scriptorium models list`).", err=True)


def _abandon(cluster: Cluster, tenant: str, jobs: list[Job]) -> None:
    """Cancel the jobs after Ctrl-C; the finished chunks are kept for the next submission."""
    for job in jobs:
        with suppress(ScriptoriumError):
            cancel(cluster, tenant, job.id)
    typer.echo("Stopped. Finished chunks are kept: the same command goes on from there.", err=True)


def _tell_names(stems: Mapping[Path, str]) -> None:
    """Print which transcripts get another name than their files."""
    renamed = [(path, stem) for path, stem in stems.items() if stem != plain_stem(path)]
    if renamed:
        shown = ", ".join(f"{path} -> {stem}" for path, stem in renamed[:SHOWN_NAMES])
        rest = f" and {len(renamed) - SHOWN_NAMES} more" if len(renamed) > SHOWN_NAMES else ""
        told = f"So that no file is overwritten, transcripts are named: {shown}{rest}."
        typer.echo(printable(told), err=True)
