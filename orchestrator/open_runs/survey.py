"""A look at every open run: what it needs next, and whether a worker has it.

Asks Redis for pages of runs, and the store only for records that this process has not read yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from gpu_worker.models.whisper import AUTO
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Receipts, failed_units
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.open_runs.needs import RunFacts, needed_units
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

PAGE = 500  # runs asked about at once
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Need:
    """A unit that must be settled next."""

    unit: Unit
    is_leased: bool  # a worker has it, or a retry waits
    is_coming: bool  # its run's messages are just being written


@dataclass(frozen=True, slots=True)
class RunSurvey:
    """One open run."""

    run: Run
    facts: RunFacts | None  # None: it has not begun, and no record of it was read
    needs: tuple[Need, ...]

    @property
    def idle(self) -> tuple[Unit, ...]:
        """The needed units that no worker has."""
        return tuple(it.unit for it in self.needs if not (it.is_leased or it.is_coming))


def survey(cluster: Cluster, runs: Sequence[Run]) -> Iterator[RunSurvey]:
    """Yield the runs that are still open, in their order. Raises redis.RedisError."""
    for first in range(0, len(runs), PAGE):
        yield from _page(cluster, runs[first : first + PAGE])


def _page(cluster: Cluster, runs: Sequence[Run]) -> Iterator[RunSurvey]:
    found: list[tuple[Run, RunFacts | None, list[tuple[Unit, str]]]] = []
    for run, receipts in zip(runs, cluster.ledger.read_all(runs), strict=True):
        try:
            looked = _look(cluster, run, receipts)
        except FAULTS as error:  # this run's alone: the others are looked at all the same
            note(run.name, error)
            continue
        if looked is not None:
            found.append((run, *looked))
    # While a fan-out is leased, the messages are just being written.
    names = [
        name
        for run, _, needed in found
        for _, key in needed
        for name in (key, keys.of_run(run, Stage.FAN_OUT.value))
    ]
    leased = iter(cluster.leases.held(names))
    for run, facts, needed in found:
        needs = tuple(Need(unit, next(leased), next(leased)) for unit, _ in needed)
        yield RunSurvey(run, facts, needs)


def _look(
    cluster: Cluster, run: Run, receipts: Receipts
) -> tuple[RunFacts | None, list[tuple[Unit, str]]] | None:
    """Return the facts of a run and its next units with their keys; None if it has ended."""
    if not receipts:  # most of a long queue: no record is read for them
        first = run.unit(Stage.PREPARE)
        return None, [(first, keys.plan(run.tenant, run.job))]
    if (Stage.ASSEMBLE, 0) in receipts and cluster.settle(run) is not None:
        return None
    try:
        accepted = cluster.records.manifest(run.tenant, run.job)
        manifest = cluster.run_manifest(accepted, run, receipts)
        settled = set(receipts)
        if manifest.options.model == AUTO:  # no choice yet, or its artifact was lost
            settled.discard((Stage.DETECT_LANGUAGE, 0))
        facts = RunFacts(
            manifest=manifest,
            run=run,
            plan=cluster.plan(run.tenant, run.job),
            settled=settled,
            failed=failed_units(receipts),
        )
        return facts, [(unit, cluster.records.key(unit)) for unit in needed_units(facts)]
    except ArtifactMissing as error:
        log.warning("record_missing", run=run.name, artifact=str(error))
        return None
