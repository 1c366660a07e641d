"""A look at every open run: what it needs next, and whether a worker has it.

Asks Redis for pages of runs, and the store only for records that this process has not read yet.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from gpu_worker.models.whisper import AUTO
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Receipts, failed_units
from orchestrator.cluster.turns import lanes_of
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.open_runs.needs import RunFacts, needed_units
from orchestrator.open_runs.watch import UNITS, Watch
from orchestrator.open_runs.work import StageWork, remaining_work
from tasks.artifacts import ArtifactMissing
from tasks.runs import keys
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit

PAGE = 500  # runs asked about at once
THREADS = 16  # requests to the store at once
READ_SECONDS = 2.0  # of a pass for records that are not in memory
SETTLED = 1000  # runs that a pass closes
LIKELY_UNITS = 20  # that a run needs of which nothing is known but that it has begun
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
    needs: tuple[Need, ...]  # empty if this pass did not look at it
    work: tuple[StageWork, ...] | None  # as of the last look; None: no record of it was read
    in_flight: tuple[tuple[Stage, int], ...]  # units that workers have, as of the last look
    ready_by: float | None = None  # of the job, as of the last look

    @property
    def idle(self) -> tuple[Unit, ...]:
        """The needed units that no worker has."""
        return tuple(it.unit for it in self.needs if not (it.is_leased or it.is_coming))


class Surveyor:
    """Looks at open runs pass after pass, and remembers of each what the last look found.

    Of very many runs each pass looks at a part (`watch.py`), so memory, and requests to Redis and
    to the store, are bounded. Records that are not in memory are read by several threads.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], float] = time.time,
        units: int = UNITS,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._watch = Watch(cluster.settings.reconcile_grace_seconds, units)
        self._known: dict[Run, RunSurvey] = {}  # without their needs

    def survey(self, runs: Sequence[Run]) -> Iterator[RunSurvey]:
        """Yield the runs that are still open; those that this pass looks at come first.

        Raises redis.RedisError and what the store raises.
        """
        counts = dict(zip(runs, self._cluster.ledger.counts(runs), strict=True))
        self._known = {run: known for run, known in self._known.items() if run in counts}
        ended = self._settled([run for run, (_, is_assembled) in counts.items() if is_assembled])
        runs = [run for run in runs if run not in ended]
        watched = self._read(self._choose(runs, counts), counts)
        for first in range(0, len(watched), PAGE):
            for one in _page(self._cluster, watched[first : first + PAGE]):
                self._known[one.run] = replace(one, needs=())
                if self._watch.is_partial:
                    self._cluster.queues.expect(one.idle)
                    self._watch.waits_in(one.run, self._queues(one))
                yield one
        looked_at = set(watched)
        for run in runs:
            if run not in looked_at:
                yield self._known.get(run) or RunSurvey(run, (), None, ())

    def _choose(self, runs: Sequence[Run], counts: Mapping[Run, tuple[int, bool]]) -> Sequence[Run]:
        receipts = {run: number for run, (number, _) in counts.items()}
        return self._watch.choose(
            runs,
            receipts,
            lambda run: self._units(run, has_begun=receipts[run] > 0),
            self._cluster.queues.unread() if self._watch.is_partial else {},
            self._clock(),
        )

    def _queues(self, one: RunSurvey) -> frozenset[str] | None:
        """Return the queues in which the run's messages should wait; None if it is worked on."""
        if one.ready_by is not None:  # looked at, so that it moves up in time
            return None
        if any(need.is_leased or need.is_coming for need in one.needs):
            return None
        units = {need.unit.stage: need.unit for need in one.needs}
        records = self._cluster.records
        return frozenset(
            stage.queue(lane) for stage, unit in units.items() for lane in lanes_of(records, unit)
        )

    def _units(self, run: Run, *, has_begun: bool) -> int:
        """Estimate how many units a run needs next."""
        known = self._known.get(run)
        if known is None or known.work is None:
            return LIKELY_UNITS if has_begun else 1
        return max((item.units for item in known.work), default=1)

    def _settled(self, runs: Sequence[Run]) -> set[Run]:
        """Close the runs that have their result; return them."""

        def settle(run: Run) -> Run | None:
            try:
                return None if self._cluster.settle(run) is None else run
            except FAULTS as error:
                note(run.name, error)
                return None

        if not runs:
            return set()
        with ThreadPoolExecutor(THREADS, "survey") as threads:
            return {run for run in threads.map(settle, runs[:SETTLED]) if run is not None}

    def _read(self, runs: Sequence[Run], counts: Mapping[Run, tuple[int, bool]]) -> Sequence[Run]:
        """Read the records of the runs that have begun; return those that can be looked at now.

        The others had to wait for too many before them; the next passes read theirs.
        """
        records = self._cluster.records
        unread = [
            run for run in runs if counts[run][0] and not records.remembers(run.tenant, run.job)
        ]
        if not unread:
            return runs
        ends_at = time.monotonic() + READ_SECONDS

        def read(run: Run) -> bool:
            if time.monotonic() > ends_at:
                return False
            try:
                records.manifest(run.tenant, run.job)
                records.plan(run.tenant, run.job)
            except FAULTS:  # also a plan that is not written yet; the look at the run says it
                pass
            return True

        with ThreadPoolExecutor(THREADS, "survey") as threads:
            late = {
                run for run, done in zip(unread, threads.map(read, unread), strict=True) if not done
            }
        for run in late:
            self._watch.drop(run)
        return [run for run in runs if run not in late]


def _page(cluster: Cluster, runs: Sequence[Run]) -> Iterator[RunSurvey]:
    found: list[tuple[Run, float | None, tuple[StageWork, ...] | None, list[tuple[Unit, str]]]] = []
    for run, receipts in zip(runs, cluster.ledger.read_all(runs), strict=True):
        try:
            looked = _look(cluster, run, receipts)
            if looked is not None:
                facts, needed = looked
                if facts is None:
                    found.append((run, None, None, needed))
                else:
                    found.append((run, facts.manifest.ready_by, remaining_work(facts), needed))
        except FAULTS as error:  # this run's alone: the others are looked at all the same
            note(run.name, error)
    # While a fan-out is leased, the messages are just being written.
    names = [
        name
        for run, *_, needed in found
        for name in (keys.of_run(run, Stage.FAN_OUT.value), *(key for _, key in needed))
    ]
    leased = iter(cluster.leases.held(names))
    for run, ready_by, work, needed in found:
        is_coming = next(leased)
        needs = tuple(Need(unit, next(leased), is_coming) for unit, _ in needed)
        in_flight = Counter(need.unit.stage for need in needs if need.is_leased)
        yield RunSurvey(run, needs, work, tuple(in_flight.items()), ready_by)


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
        return facts, cluster.records.keyed(needed_units(facts))
    except ArtifactMissing as error:
        log.warning("record_missing", run=run.name, artifact=str(error))
        return None
