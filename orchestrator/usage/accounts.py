"""Sums of what was used, by day and tenant, and the packs that they are kept in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.artifacts import encode
from tasks.usage.figures import Figures
from tasks.usage.record import Place, RunUsage


@dataclass(slots=True)
class Account:
    """What runs of one tenant used: their number, and figures by stage and device."""

    runs: int = 0
    figures: dict[Place, Figures] = field(default_factory=dict)

    def add(self, runs: int, figures: Mapping[Place, Figures]) -> None:
        """Add what other runs used."""
        self.runs += runs
        for place, more in figures.items():
            known = self.figures.get(place)
            self.figures[place] = more if known is None else known + more


Accounts = dict[tuple[str, str], Account]  # by day and tenant


def add_record(accounts: Accounts, record: RunUsage) -> None:
    """Add one run to the account of its day and tenant."""
    account = accounts.setdefault((record.day, record.run.tenant), Account())
    account.add(1, record.figures)


@dataclass(frozen=True, slots=True)
class Pack:
    """Some runs that ended on one day: their names, and the sums of each tenant."""

    names: frozenset[str]
    tenants: Mapping[str, Account]

    @classmethod
    def of(cls, records: Iterable[RunUsage]) -> Pack:
        """Make a pack of records of one day."""
        names, tenants = set(), dict[str, Account]()
        for record in records:
            names.add(record.run.name)
            tenants.setdefault(record.run.tenant, Account()).add(1, record.figures)
        return cls(frozenset(names), tenants)

    def to_bytes(self) -> bytes:
        """Encode the pack as the bytes of its artifact."""
        tenants = {
            tenant: {
                "runs": account.runs,
                "use": [
                    {"stage": stage, "device": device} | figures.to_json()
                    for (stage, device), figures in sorted(account.figures.items())
                ],
            }
            for tenant, account in self.tenants.items()
        }
        return encode({"version": 1, "runs": sorted(self.names), "tenants": tenants})

    @classmethod
    def of_artifact(cls, data: Mapping[str, Any]) -> Pack:
        """Read the JSON that `to_bytes` writes; raises ValueError, TypeError or LookupError."""
        tenants = {
            str(tenant): Account(
                int(one["runs"]),
                {
                    (str(row["stage"]), str(row["device"])): Figures.from_json(row)
                    for row in one["use"]
                },
            )
            for tenant, one in data["tenants"].items()
        }
        return cls(frozenset(data["runs"]), tenants)
