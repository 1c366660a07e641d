"""Corrected and confirmed lines as a labelled set: for each a clip and the text that it says.

The form is that of `gpu_worker/accuracy/labelled.py`, so the set measures models and settings.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.errors import DiskFull
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.languages import written_language
from orchestrator.cluster.connection import Cluster
from orchestrator.results.corrected_transcript import corrected_segment
from orchestrator.results.corrections import Action, Lines, corrections, published_transcript
from orchestrator.results.files import NotWritable
from orchestrator.results.recordings import HEADER_BYTES, AudioMissing, Recording, open_recording
from tasks.artifacts import ArtifactMissing

PADDING_SECONDS = 0.25  # before and behind a line: aligners are late by less
_LABELLED = frozenset({Action.CORRECTED, Action.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Clip:
    """A line to cut out, and what it says."""

    segment: int  # its place in the transcript
    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The clips that were written, and how many lines are none as their texts are translations."""

    clips: tuple[Path, ...]
    translated: int


def clips(segments: Sequence[Mapping[str, Any]], lines: Lines) -> Iterator[Clip]:
    """Yield the labelled lines with room around them, but without their neighbours' words. Pure."""
    for at, line in lines.items():
        shown = corrected_segment(segments[at], line) if line.action in _LABELLED else None
        if shown is None or segments[at]["end"] <= segments[at]["start"]:
            continue
        start, end = segments[at]["start"], segments[at]["end"]
        before = segments[at - 1]["end"] if at else -math.inf
        behind = segments[at + 1]["start"] if at + 1 < len(segments) else math.inf
        yield Clip(
            at,
            max(0.0, start - _padding(start - before)),
            end + _padding(behind - end),
            shown["text"],
        )


def _padding(gap: float) -> float:
    """Return the seconds to add at an edge; half of the gap belongs to the neighbour."""
    return min(PADDING_SECONDS, max(gap, 0.0) / 2)


def export_labelled(cluster: Cluster, tenant: str, job: str, directory: Path) -> Exported:
    """Write `JOB-LINE.wav` and `.txt` for each labelled line; return the clips' paths.

    A translated line is none: its text is not what is said. Raises UnknownJob, NotFinished,
    AudioMissing, NotWritable or DiskFull.
    """
    run, transcript = published_transcript(cluster, tenant, job)
    lines = corrections(cluster, tenant, job, run).standing
    found = list(clips(transcript["segments"], lines))
    task = cluster.records.manifest(tenant, job).options.task
    wanted = [clip for clip in found if not _is_translated(transcript, clip.segment, task)]
    translated = len(found) - len(wanted)
    if not wanted:
        return Exported((), translated)
    recording = open_recording(cluster, tenant, job)
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for clip in wanted:
            path = directory / f"{job}-{clip.segment:05}.wav"
            path.write_bytes(_cut(cluster, recording, clip))
            path.with_suffix(".txt").write_text(clip.text + "\n", encoding="utf-8")
            written.append(path)
    except ArtifactMissing as error:
        raise AudioMissing() from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"There is no space in {directory}.") from error
        raise NotWritable(f"{directory} cannot be written to: {error.strerror}.") from error
    return Exported(tuple(written), translated)


def _is_translated(transcript: Mapping[str, Any], at: int, task: str) -> bool:
    """Return whether the text of the line at that place is in another language than its sound."""
    spoken: str | None = transcript["segments"][at].get("language") or transcript["language"]
    return written_language(task, spoken) != spoken


def _cut(cluster: Cluster, recording: Recording, clip: Clip) -> bytes:
    """Return the bytes of a WAV file with this part of the recording."""
    first = min(round(clip.start * SAMPLE_RATE), recording.samples)
    last = min(round(clip.end * SAMPLE_RATE), recording.samples)
    edges = (HEADER_BYTES + at * recording.frame_bytes for at in (first, last))
    header = Recording(recording.keys, last - first).header()
    return header + recording.read(cluster.store, *edges)
