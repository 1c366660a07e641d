"""What a trial has shown: the completed jobs of its two sides, read from their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any

from gpu_worker.accuracy.word_error import WordError
from gpu_worker.transcription.languages import written_language
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.cluster.listed_jobs import listed_jobs
from tasks.artifacts import ArtifactMissing
from tasks.runs.json_artifacts import UnreadableRecord
from tasks.runs.manifest import TrialSide
from tasks.runs.stages import Stage

SIDES: tuple[TrialSide, ...] = ("control", "variant")
CountErrors = Callable[[Sequence[tuple[str, str, str]]], list[WordError]]


@dataclass(frozen=True, slots=True)
class TriedJob:
    """One completed job of a trial."""

    side: TrialSide
    variant: str  # its model and compute type
    name: str  # of its file
    audio: str  # sha256 of the PCM
    audio_seconds: float
    language: str  # of the text
    text: str
    words: int
    probability_sum: float  # of the words' probabilities
    logprob_sum: float  # of each word, the mean log probability of its window's tokens
    computed_seconds: float  # of `transcribe`; units that were in the store already are left out
    computed_audio_seconds: float


@dataclass(frozen=True, slots=True)
class SideReport:
    """The sums of one side."""

    variants: tuple[str, ...]  # more than one if the trial was changed
    jobs: int
    audio_seconds: float
    words: int
    real_time_factor: float | None  # of `transcribe`; None: nothing was computed
    avg_logprob: float | None  # mean of all words
    word_probability: float | None
    words_a_minute: float | None
    error: WordError | None = None  # against the references; None without any


@dataclass(frozen=True, slots=True)
class TrialReport:
    """Both sides, and how much they differ on the audio that both have transcribed."""

    sides: Mapping[TrialSide, SideReport]
    same_audio: int  # number of recordings that both sides have transcribed
    disagreement: WordError | None  # the variant's text against the control's on these


def tried_jobs(cluster: Cluster, tenant: str, limit: int) -> list[TriedJob]:
    """Return those of the tenant's `limit` newest jobs that are completed and of a trial."""
    found = []
    for _, job in islice(listed_jobs(cluster, tenant, limit), limit):
        with suppress(UnknownJob, NotFinished, ArtifactMissing, UnreadableRecord):
            tried = _tried_job(cluster, tenant, job)
            if tried is not None:
                found.append(tried)
    return found


def _tried_job(cluster: Cluster, tenant: str, job: str) -> TriedJob | None:
    side = cluster.records.manifest(tenant, job).trial
    if side is None or cluster.job(tenant, job).status is not Status.COMPLETED:
        return None
    run, result = cluster.published(tenant, job)
    options = cluster.records.resolved(run).options
    timing = cluster.timings(run).get(Stage.TRANSCRIBE.value, {})
    transcript: dict[str, Any] = result["transcript"]
    words = [(word, segment) for segment in transcript["segments"] for word in segment["words"]]
    return TriedJob(
        side=side,
        variant=f"{options.model} {options.compute_type}",
        name=cluster.records.manifest(tenant, job).source.name,
        audio=cluster.records.plan(tenant, job).audio,
        audio_seconds=transcript["duration"],
        language=written_language(options.task, transcript["language"]) or "",
        text=transcript["text"],
        words=len(words),
        probability_sum=sum(word["score"] for word, _ in words),
        logprob_sum=sum(segment["avg_logprob"] for _, segment in words),
        computed_seconds=timing.get("seconds", 0.0),
        computed_audio_seconds=timing.get("audio_seconds", 0.0),
    )


def trial_report(
    jobs: Sequence[TriedJob], references: Mapping[str, str], count: CountErrors
) -> TrialReport:
    """Sum the jobs of each side; `count` counts word errors of (reference, heard, language).

    `references` are texts by the stems of files' names. Raises what `count` raises.
    """
    pairs = _same_audio(jobs)
    disagreements = count([(one.text, other.text, one.language) for one, other in pairs])
    sides: dict[TrialSide, SideReport] = {}
    for side in SIDES:
        own = [job for job in jobs if job.side == side]
        known = [job for job in own if PurePath(job.name).stem in references]
        errors = count(
            [(references[PurePath(job.name).stem], job.text, job.language) for job in known]
        )
        sides[side] = _side_report(own, _total(errors))
    return TrialReport(sides, len(pairs), _total(disagreements))


def _same_audio(jobs: Iterable[TriedJob]) -> list[tuple[TriedJob, TriedJob]]:
    """Return of each audio that both sides have its newest job of each; `jobs`: newest first."""
    newest: dict[tuple[TrialSide, str], TriedJob] = {}
    for job in jobs:
        newest.setdefault((job.side, job.audio), job)
    return [
        (job, newest["variant", audio])
        for (side, audio), job in newest.items()
        if side == "control" and ("variant", audio) in newest
    ]


def _side_report(jobs: Sequence[TriedJob], error: WordError | None) -> SideReport:
    words = sum(job.words for job in jobs)
    seconds = sum(job.audio_seconds for job in jobs)
    computed = sum(job.computed_seconds for job in jobs)
    return SideReport(
        variants=tuple(dict.fromkeys(job.variant for job in jobs)),
        jobs=len(jobs),
        audio_seconds=round(seconds, 3),
        words=words,
        real_time_factor=_ratio(computed, sum(job.computed_audio_seconds for job in jobs)),
        avg_logprob=_ratio(sum(job.logprob_sum for job in jobs), words),
        word_probability=_ratio(sum(job.probability_sum for job in jobs), words),
        words_a_minute=_ratio(60 * words, seconds),
        error=error,
    )


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None


def _total(errors: Sequence[WordError]) -> WordError | None:
    if not errors:
        return None
    return WordError(sum(it.words for it in errors), sum(it.errors for it in errors))
