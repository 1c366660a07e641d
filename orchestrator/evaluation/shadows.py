"""What shadows have shown: how far each differs from its job's text, how fast, and at what cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gpu_worker.transcription.languages import written_language
from orchestrator.cluster.connection import Cluster, NotFinished, UnknownJob
from orchestrator.cluster.job import Status
from orchestrator.cluster.shadows import DUE, MADE, SHADOW_TENANT, shadow_job
from orchestrator.cluster.unreadable import FAULTS, note, parsed_runs
from orchestrator.evaluation.costs import costs_of
from orchestrator.evaluation.scoring import NO_LANGUAGE
from orchestrator.usage.prices import Prices
from tasks.artifacts import ArtifactMissing
from tasks.runs.units import Run
from tasks.usage.figures import Figures
from tasks.usage.record import Place

Disagreements = Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Side:
    """One transcript of a recording, and what it took."""

    model: str
    transcript: Mapping[str, Any]
    figures: Mapping[Place, Figures]  # of the stages with models
    task: str = "transcribe"

    @property
    def language(self) -> str:
        """The language of the text."""
        return written_language(self.task, self.transcript["language"]) or NO_LANGUAGE

    def to_json(self, prices: Prices | None) -> dict[str, Any]:
        """Return what the side took as JSON."""
        seconds = sum(each.device_seconds for each in self.figures.values())
        length = float(self.transcript["duration"])
        return {
            "model": self.model,
            "device_seconds": round(seconds, 4),
            "speed": round(length / seconds, 4) if seconds else None,
            "cost": prices.cost(self.figures) if prices else None,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """A job and its shadow, both completed."""

    run: Run  # of the job
    name: str  # of its file
    production: Side
    shadow: Side


@dataclass(frozen=True, slots=True)
class Shadows:
    """The shadows of a cluster: the pairs that can be compared, and how many there are besides."""

    pairs: Sequence[Pair]
    waiting: int  # are due, and not made
    going_on: int
    ended_badly: int
    not_compared: int  # older than the newest that were asked for


def shadows(cluster: Cluster, limit: int) -> Shadows:
    """Read the `limit` newest shadows, of all tenants."""
    runs = sorted(parsed_runs(cluster.store.list(MADE), MADE), key=lambda run: run.job)
    found: list[Pair] = []
    statuses: list[Status] = []
    for run in reversed(runs[-limit:]):
        try:
            # What was deleted meanwhile is passed over.
            with suppress(UnknownJob, NotFinished, ArtifactMissing):
                own = cluster.job(SHADOW_TENANT, shadow_job(run.tenant, run.job))
                if own.status is Status.COMPLETED:
                    found.append(_pair(cluster, run, Run(own.tenant, own.id, own.run)))
                statuses.append(own.status)
        except FAULTS as error:
            note(run.name, error)
    return Shadows(
        found,
        waiting=sum(1 for _ in cluster.store.list(DUE)),
        going_on=sum(not status.final for status in statuses),
        ended_badly=sum(it.final and it is not Status.COMPLETED for it in statuses),
        not_compared=len(runs) - len(runs[-limit:]),
    )


def _pair(cluster: Cluster, run: Run, own: Run) -> Pair:
    name = cluster.records.manifest(run.tenant, run.job).source.name
    return Pair(run, name, _side(cluster, run), _side(cluster, own))


def _side(cluster: Cluster, run: Run) -> Side:
    transcript = cluster.result(run.tenant, run.job)["transcript"]
    options = cluster.records.resolved(run).options
    return Side(options.model, transcript, costs_of(cluster, run), options.task)


def shadow_report(
    found: Shadows, most: float, prices: Prices | None, compare: Disagreements
) -> dict[str, Any]:
    """Return the report as JSON: the recordings with the largest disagreement first.

    `most`: the percent of words above which a disagreement is flagged. `compare` answers what
    `gpu_worker.accuracy.disagreement` does. Raises what `compare` raises.
    """
    answers = compare(
        [
            {
                "language": pair.production.language,
                "first": pair.production.transcript,
                "second": pair.shadow.transcript,
            }
            for pair in found.pairs
        ]
    )
    rows = [
        _row(pair, answer, most, prices) for pair, answer in zip(found.pairs, answers, strict=True)
    ]
    rows.sort(key=lambda row: (-row["disagreement"], row["job"]))
    return {
        "done": len(rows),
        "flagged": sum(row["flagged"] for row in rows),
        "going_on": found.going_on,
        "ended_badly": found.ended_badly,
        "waiting": found.waiting,
        "not_compared": found.not_compared,
        "most_percent": most,
        "currency": prices.currency if prices else "",
        "all": _totals(rows),
        "jobs": rows,
    }


def _row(
    pair: Pair, answer: Mapping[str, Any], most: float, prices: Prices | None
) -> dict[str, Any]:
    words, errors = answer["words"], answer["errors"]
    percent = 100 * errors / words if words else 100.0 * bool(errors)
    return {
        "tenant": pair.run.tenant,
        "job": pair.run.job,
        "shadow": shadow_job(pair.run.tenant, pair.run.job),
        "name": pair.name,
        "audio_seconds": pair.production.transcript["duration"],
        "words": words,
        "errors": errors,
        "disagreement": round(percent, 4),
        "flagged": percent > most,
        "production": pair.production.to_json(prices),
        "shadow_side": pair.shadow.to_json(prices),
        "spans": answer["spans"],
    }


def _totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    words, errors = (sum(row[name] for row in rows) for name in ("words", "errors"))
    seconds = sum(row["audio_seconds"] for row in rows)
    sides = {}
    for side in ("production", "shadow_side"):
        used = sum(row[side]["device_seconds"] for row in rows)
        costs = [row[side]["cost"] for row in rows if row[side]["cost"] is not None]
        sides[side] = {
            "models": sorted({row[side]["model"] for row in rows}),
            "device_seconds": round(used, 4),
            "speed": round(seconds / used, 4) if used else None,
            "cost": round(sum(costs), 6) if costs else None,
        }
    percent = round(100 * errors / words, 4) if words else None
    return {"words": words, "errors": errors, "disagreement": percent, **sides}
