"""Budgets: what a tenant may use in a day and in a month. Near the end warn, behind it stop.

What has been used is read from the store, so a wiped Redis changes nothing. Jobs that are open do
not count yet: how many there are at most, `jobs_in_flight` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Literal

import structlog
from cachetools import LRUCache

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import BudgetSpent
from orchestrator.usage.accounts import Account
from orchestrator.usage.reading import UsageReader
from tasks.runs.stages import Pool, Stage

WARN_RATIO = 0.8
REMEMBERED_SECONDS = 15.0  # how old the sums may be
EVERY_TENANT = "*"
_TENANTS = 10_000
Period = Literal["day", "month"]
Figure = Literal["audio_seconds", "device_seconds"]
LIMITS: Mapping[str, tuple[Figure, Period]] = {
    "audio_seconds_a_day": ("audio_seconds", "day"),
    "audio_seconds_a_month": ("audio_seconds", "month"),
    "device_seconds_a_day": ("device_seconds", "day"),
    "device_seconds_a_month": ("device_seconds", "month"),
}
_GPU_STAGES = frozenset(stage.value for stage in Stage if stage.pool is Pool.GPU)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant has used of one limit."""

    limit: str  # a name of LIMITS
    used: float
    allowed: float

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.allowed

    @property
    def is_near(self) -> bool:
        """Whether most of it is used."""
        return self.used >= WARN_RATIO * self.allowed


def check_budgets(settings: Settings) -> None:
    """Raise InvalidOption if the setting names a limit that there is not, or a negative one."""
    for tenant, own in settings.budgets.items():
        for name, value in own.items():
            if name not in LIMITS or not value >= 0:
                raise InvalidOption(
                    f"SCRIPTORIUM_BUDGETS is not valid: {tenant} {name} {value:g}.",
                    hint=f"The limits are {', '.join(LIMITS)}.",
                )


def used(account: Account, figure: Figure) -> float:
    """Return the audio that was transcribed, or the time of the stages of GPU workers. Pure."""
    of_stage = account.figures.items()
    if figure == "audio_seconds":
        return sum(it.audio_seconds for (stage, _), it in of_stage if stage == Stage.TRANSCRIBE)
    return sum(it.device_seconds for (stage, _), it in of_stage if stage in _GPU_STAGES)


class Budgets:
    """The budgets of a cluster's tenants. Any number of threads may ask."""

    def __init__(
        self,
        settings: Settings,
        reader: UsageReader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = settings.budgets
        self._reader = reader
        self._clock = clock
        self._lock = Lock()
        self._spent: LRUCache[tuple[str, str], tuple[float, tuple[Spent, ...]]] = LRUCache(_TENANTS)
        self._warned: LRUCache[tuple[str, str, str], bool] = LRUCache(_TENANTS)

    def check(self, tenant: str, now: float) -> None:
        """Warn once in a period, or raise BudgetSpent; `now` is in seconds since 1970."""
        for spent in self.spent(tenant, now):
            if spent.is_near:
                self._warn(tenant, spent, now)
            if spent.is_over:
                figure, period = LIMITS[spent.limit]
                _count(spent.limit, "refused")
                raise BudgetSpent(
                    f"The tenant has used {spent.used:.0f} {figure.replace('_', ' ')} in this "
                    f"{period} (UTC), and its budget is {spent.allowed:.0f}."
                )

    def spent(self, tenant: str, now: float) -> tuple[Spent, ...]:
        """Return what the tenant has used of each of its limits; nothing without a budget."""
        limits = self._limits.get(tenant, self._limits.get(EVERY_TENANT, {}))
        if not limits:
            return ()
        today = datetime.fromtimestamp(now, UTC).date()
        key, moment = (tenant, today.isoformat()), self._clock()
        with self._lock:
            known = self._spent.get(key)
        if known is not None and moment - known[0] < REMEMBERED_SECONDS:
            return known[1]
        first = today.replace(day=1).isoformat()
        month, day = Account(), Account()
        for (date, _), account in self._reader.accounts(first, key[1], tenant).items():
            month.add(account.runs, account.figures)
            if date == key[1]:
                day.add(account.runs, account.figures)
        accounts: dict[Period, Account] = {"day": day, "month": month}
        found = tuple(
            Spent(name, used(accounts[period], figure), limits[name])
            for name, (figure, period) in LIMITS.items()
            if name in limits
        )
        with self._lock:
            self._spent[key] = moment, found
        return found

    def _warn(self, tenant: str, spent: Spent, now: float) -> None:
        days = {"day": "%Y-%m-%d", "month": "%Y-%m"}
        date = datetime.fromtimestamp(now, UTC).strftime(days[LIMITS[spent.limit][1]])
        with self._lock:
            if (tenant, spent.limit, date) in self._warned:
                return
            self._warned[tenant, spent.limit, date] = True
        log.warning(
            "budget_nearly_spent",
            tenant=tenant,
            limit=spent.limit,
            used=round(spent.used, 1),
            allowed=spent.allowed,
        )
        _count(spent.limit, "warned")


def _count(limit: str, event: str) -> None:
    from tasks.telemetry.metrics import BUDGETS  # most commands do not need it

    BUDGETS.labels(limit, event).inc()
