"""What the listing of a job's folder says of it, without a read of any object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from tasks.artifacts import ArtifactStore
from tasks.runs import keys
from tasks.runs.records import failed_unit
from tasks.runs.stages import Stage
from tasks.runs.units import Run

_RUNS = "runs/"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """One job, by the names of its objects below `tenants/<tenant>/jobs/<job>/`."""

    tenant: str
    job: str
    names: frozenset[str]

    @property
    def is_accepted(self) -> bool:
        """Whether there is a manifest."""
        return "manifest.json" in self.names

    @property
    def is_prepared(self) -> bool:
        """Whether there is a plan."""
        return "plan.json" in self.names

    @property
    def newest(self) -> Run:
        """The newest run: the highest number that an object has; a retry may have died early."""
        numbers = (_run_number(name) for name in self.names)
        return Run(self.tenant, self.job, max((int(it) for it in numbers if it), default=1))

    def has(self, run: Run, name: str) -> bool:
        """Return whether a run of this job has an object: keys.RESULT, `canceled` and so on."""
        return f"{_RUNS}{run.number}/{name}" in self.names

    @property
    def is_completed(self) -> bool:
        """Tell by names alone whether a job that has ended is surely completed.

        A run that was canceled has no timings; of others that ended badly, units were given up.
        """
        return self.has(self.newest, "timings.json") and not any(self.given_up(self.newest))

    def given_up(self, run: Run) -> Iterator[tuple[Stage, int]]:
        """Yield the units of a run that were given up."""
        prefix = f"{_RUNS}{run.number}/failed/"
        for name in self.names:
            if name.startswith(prefix):
                unit = failed_unit(name.removeprefix(prefix))
                if unit is not None:
                    yield unit


def _run_number(name: str) -> str:
    """Return the number of the run that a name lies in, as digits; empty if in none."""
    number = name.removeprefix(_RUNS).partition("/")[0] if name.startswith(_RUNS) else ""
    return number if number.isdecimal() else ""


def job_folder(store: ArtifactStore, tenant: str, job: str) -> JobFolder:
    """List one job's folder."""
    prefix = keys.job(tenant, job)
    return JobFolder(tenant, job, frozenset(key.removeprefix(prefix) for key in store.list(prefix)))


def job_folders(store: ArtifactStore, tenant: str, after: str = "") -> Iterator[JobFolder]:
    """Yield the jobs of a tenant in the order of their ids, from the one behind job `after` on.

    A request to the store lists a thousand objects.
    """
    prefix = keys.jobs(tenant)
    start = keys.behind(keys.job(tenant, after)) if after else ""
    names = (key.removeprefix(prefix).partition("/") for key in store.list(prefix, start))
    for job, parts in groupby(names, key=lambda part: part[0]):
        yield JobFolder(tenant, job, frozenset(rest for _, slash, rest in parts if slash))
