"""The keys of what runs used. They outlive the jobs, so they are outside the tenants' folder.

uncounted/<tenant>/<job>/<run>                 it has ended; there is no record of its use yet
usage/runs/<tenant>/<job>/<run>.json           what the run used
usage/days/<day>/<pack>.json                   the same of many runs, which ended on that day
"""

from __future__ import annotations

from tasks.runs.units import Run

UNCOUNTED = "uncounted/"
RUNS = "usage/runs/"
DAYS = "usage/days/"
_SUFFIX = ".json"


def uncounted(run: Run) -> str:
    return UNCOUNTED + run.name


def used(run: Run) -> str:
    return f"{RUNS}{run.name}{_SUFFIX}"


def run_of(key: str) -> Run:
    """Return the run of a key that `used` gave. Raises ValueError for a stray object."""
    return Run.parse(key.removeprefix(RUNS).removesuffix(_SUFFIX))


def pack(day: str, number: int) -> str:
    """Return the key of a pack of records; those of a day are numbered from 0."""
    return f"{DAYS}{day}/{number:06}{_SUFFIX}"


def day_of(key: str) -> str:
    """Return the day of a key that `pack` gave."""
    return key.removeprefix(DAYS).partition("/")[0]
