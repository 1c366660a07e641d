"""Sums of what was used, by day and tenant, and the packs that they are kept in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.artifacts import encode
from tasks.usage.figures import Figures
from tasks.usage.record import Labels, Place, RunUsage, labels_of


@dataclass(slots=True)
class Account:
    """What runs of one tenant used: their number, and figures by stage and device."""

    runs: int = 0
    figures: dict[Place, Figures] = field(default_factory=dict)
    parts: dict[Labels, Account] = field(default_factory=dict, compare=False)
    """The same by the labels of the runs' jobs; empty while none has any."""

    def add(self, runs: int, figures: Mapping[Place, Figures], labels: Labels = ()) -> None:
        """Add what other runs used, whose jobs have these labels."""
        if labels and not self.parts and self.runs:
            self.parts[()] = Account(self.runs, dict(self.figures))
        if labels or self.parts:
            self.parts.setdefault(labels, Account()).add(runs, figures)
        self.runs += runs
        for place, more in figures.items():
            known = self.figures.get(place)
            self.figures[place] = more if known is None else known + more

    def merge(self, other: Account) -> None:
        """Add another account."""
        for labels, part in other.by_labels().items():
            self.add(part.runs, part.figures, labels)

    def by_labels(self) -> Mapping[Labels, Account]:
        """Return the account by the labels of the runs' jobs."""
        return self.parts or {(): self}

    def to_json(self) -> dict[str, Any]:
        """Return the sums, and beside them those of each set of labels if any run has some.

        A process of an earlier release reads the sums alone.
        """
        rows = [
            {"stage": stage, "device": device} | figures.to_json()
            for (stage, device), figures in sorted(self.figures.items())
        ]
        parts = [
            {"labels": dict(labels)} | part.to_json() for labels, part in sorted(self.parts.items())
        ]
        return {"runs": self.runs, "use": rows} | ({"parts": parts} if parts else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Account:
        """Read what `to_json` gives; raises ValueError, TypeError or LookupError."""
        figures = {
            (str(row["stage"]), str(row["device"])): Figures.from_json(row) for row in data["use"]
        }
        parts = {labels_of(part["labels"]): cls.from_json(part) for part in data.get("parts", ())}
        return cls(int(data["runs"]), figures, parts)


Accounts = dict[tuple[str, str], Account]  # by day and tenant


def add_record(accounts: Accounts, record: RunUsage) -> None:
    """Add one run to the account of its day and tenant."""
    account = accounts.setdefault((record.day, record.run.tenant), Account())
    account.add(1, record.figures, record.labels)


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
            tenants.setdefault(record.run.tenant, Account()).add(1, record.figures, record.labels)
        return cls(frozenset(names), tenants)

    def to_bytes(self) -> bytes:
        """Encode the pack as the bytes of its artifact."""
        tenants = {tenant: account.to_json() for tenant, account in self.tenants.items()}
        return encode({"version": 1, "runs": sorted(self.names), "tenants": tenants})

    @classmethod
    def of_artifact(cls, data: Mapping[str, Any]) -> Pack:
        """Read the JSON that `to_bytes` writes; raises ValueError, TypeError or LookupError."""
        tenants = {str(name): Account.from_json(one) for name, one in data["tenants"].items()}
        return cls(frozenset(data["runs"]), tenants)
