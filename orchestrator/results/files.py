"""Render a published result in the output formats, and write it to files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from gpu_worker.assembly.formats import FORMATS, format_named, render_file
from gpu_worker.assembly.subtitle_report import SubtitleReport, report_of
from gpu_worker.assembly.subtitles import SubtitleOptions, cues
from gpu_worker.errors import DiskFull, InvalidOption, PermanentError
from gpu_worker.transcript import Transcript, transcript_from_json
from gpu_worker.transcription.languages import TRANSLATED
from orchestrator.cluster.connection import Cluster, NotFinished
from orchestrator.results.corrected_transcript import with_corrections
from orchestrator.results.corrections import corrections
from orchestrator.results.speaker_names import given_names, with_names
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run

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


def endings(formats: Sequence[str]) -> tuple[str, ...]:
    """Return what the names of files in these formats end with, behind their dot."""
    return tuple(format_named(name).extension.removeprefix(".") for name in formats)


def render_result(
    cluster: Cluster,
    tenant: str,
    job: str,
    form: str,
    options: SubtitleOptions,
    *,
    corrected: bool = True,
) -> bytes:
    """Return the transcript of the last run that has one, as a file of one format.

    With what people have said of its lines, unless `corrected` is false. json also has `job`,
    `run` and `timings`. Raises UnknownJob, NotFinished.
    """
    run, transcript = _published(cluster, tenant, job, corrected)
    if form != "json":
        manifest = cluster.records.manifest(tenant, job)
        said = _as_written(transcript, manifest)
        return render_file(said, form, options, file_id=Path(manifest.source.name).stem)
    body = transcript | {"job": job, "run": run.number, "timings": cluster.timings(run)}
    return (json.dumps(body, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def report_subtitles(
    cluster: Cluster, tenant: str, job: str, profile: str, frame_rate: float | None
) -> SubtitleReport:
    """Return what the subtitles of a job violate of a profile, though they are made for it.

    Raises UnknownJob, NotFinished, InvalidOption.
    """
    options = SubtitleOptions(profile=profile, frame_rate=frame_rate)
    transcript = _published(cluster, tenant, job)[1]
    said = _as_written(transcript, cluster.records.manifest(tenant, job))
    return report_of(list(cues(said, options)), profile, frame_rate, said.language)


def _published(
    cluster: Cluster, tenant: str, job: str, corrected: bool = True
) -> tuple[Run, dict[str, Any]]:
    """Return the last run with a transcript, and that as people have named and corrected it."""
    run, result = cluster.published(tenant, job)
    if result["transcript"] is None:
        raise NotFinished(
            f"Job {job} has no transcript.", hint="`scriptorium status JOB` says why."
        )
    transcript = result["transcript"]
    if corrected:
        transcript = with_corrections(transcript, corrections(cluster, tenant, job, run.number))
    return run, with_names(transcript, given_names(cluster, tenant, job))


def _as_written(transcript: Mapping[str, Any], manifest: Manifest) -> Transcript:
    """Return a transcript with the languages of its text: of a translation English, not spoken."""
    said = transcript_from_json(transcript)
    if manifest.options.task != "translate":
        return said
    segments = tuple(replace(segment, language=None) for segment in said.segments)
    return replace(said, language=TRANSLATED, segments=segments)


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
        path = directory / f"{stem}{format_named(form).extension}"
        _write(path, render_result(cluster, tenant, job, form, options))
        written.append(path)
    return written


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically: into a temporary file, which then replaces the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(content)
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
