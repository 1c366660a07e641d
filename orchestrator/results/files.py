"""Render a published result in the output formats, and write it to files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from gpu_worker.assembly.formats import FORMATS, render
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.errors import DiskFull, InvalidOption, PermanentError
from gpu_worker.transcript import transcript_from_json
from orchestrator.cluster.connection import Cluster, NotFinished
from orchestrator.results.corrected_transcript import with_corrections
from orchestrator.results.corrections import corrections
from orchestrator.results.speaker_names import given_names, with_names

FORMAT_NAMES = ", ".join(FORMATS)


class NotWritable(PermanentError):
    """The output directory cannot be written to."""

    code = "not_writable"
    hint = "Choose another with --output-dir."


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse `json,srt` or `all` into names of formats. Raises InvalidOption."""
    names = tuple(FORMATS) if text == "all" else tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in FORMATS:
            raise InvalidOption(
                f"There is no output format {name!r}.", hint=f"Use {FORMAT_NAMES} or all."
            )
    return names


def render_result(
    cluster: Cluster,
    tenant: str,
    job: str,
    form: str,
    options: SubtitleOptions,
    *,
    corrected: bool = True,
) -> str:
    """Return the transcript of the last run that has one, in one format.

    With what people have said of its lines, unless `corrected` is false. json also has `job`,
    `run` and `timings`. Raises UnknownJob, NotFinished.
    """
    run, result = cluster.published(tenant, job)
    if result["transcript"] is None:
        raise NotFinished(
            f"Job {job} has no transcript.", hint="`scriptorium status JOB` says why."
        )
    transcript = result["transcript"]
    if corrected:
        transcript = with_corrections(transcript, corrections(cluster, tenant, job, run.number))
    transcript = with_names(transcript, given_names(cluster, tenant, job))
    if form != "json":
        name = cluster.records.manifest(tenant, job).source.name
        return render(transcript_from_json(transcript), form, options, file_id=Path(name).stem)
    body = transcript | {"job": job, "run": run.number, "timings": cluster.timings(run)}
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def write_results(
    cluster: Cluster,
    tenant: str,
    job: str,
    stem: str,
    directory: Path,
    formats: Sequence[str],
    options: SubtitleOptions,
) -> list[Path]:
    """Write one file for each format and return the paths; `stem` may begin with folders.

    Raises UnknownJob, NotFinished, DiskFull, NotWritable.
    """
    written = []
    for form in formats:
        text = render_result(cluster, tenant, job, form, options)
        path = directory / f"{stem}.{form}"
        _write(path, text)
        written.append(path)
    return written


def _write(path: Path, text: str) -> None:
    """Write a file atomically: into a temporary file, which then replaces the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"There is no space for {path.name!r}.") from error
        raise NotWritable(f"{path.parent} cannot be written to: {error.strerror}.") from error


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
