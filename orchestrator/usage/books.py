"""The books of a cluster: what counts, reads and bounds what is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from orchestrator.usage.budgets import Budgets
from orchestrator.usage.counting import Counting
from orchestrator.usage.reading import UsageReader
from tasks.services import Services


@dataclass(frozen=True, slots=True)
class Books:
    """One store's records of use, and the settings' budgets."""

    counting: Counting
    reader: UsageReader
    budgets: Budgets

    @classmethod
    def of(cls, services: Services) -> Self:
        """Open them; this reads nothing yet."""
        reader = UsageReader(services.store)
        counting = Counting(services.store, services.records)
        return cls(counting, reader, Budgets(services.settings, reader))
