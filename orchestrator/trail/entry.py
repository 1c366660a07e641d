"""One entry of the audit trail: who did what, when, to what, from where, and with what outcome."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

FOLDER = "audit/"  # of the store
LONGEST = 300  # characters of a text: addresses and names come from clients


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed. Texts of clients are cut to LONGEST characters."""

    action: str  # of what, then what: job.submit, key.revoke
    tenant: str | None  # whose job or key it is; None: the cluster's
    by: str  # key:ID, anonymous, cli:USER@HOST, trigger:WAY, celery or scriptorium
    origin: str | None = None  # the address that the connection came from, or a host
    job: str | None = None
    outcome: str = "done"  # or the HTTP status
    details: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=lambda: round(time.time(), 3))  # seconds since 1970

    @property
    def day(self) -> str:
        """The day of the entry in UTC, as in `2026-11-29`."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d")

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it is stored and printed; without what is not known."""
        moment = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        data = {
            "at": moment.replace("+00:00", "Z"),
            "action": self.action,
            "tenant": self.tenant,
            "by": self.by,
            "from": self.origin,
            "job": self.job,
            "outcome": self.outcome,
            "details": {name: _cut(value) for name, value in self.details.items()},
        }
        return {name: _cut(value) for name, value in data.items() if value not in (None, {})}

    def to_line(self) -> str:
        """Return the entry as a line of JSON."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` gives; ignore fields of a later release. Raises as FAULTS."""
        return cls(
            action=str(data["action"]),
            tenant=data.get("tenant"),
            by=str(data["by"]),
            origin=data.get("from"),
            job=data.get("job"),
            outcome=str(data.get("outcome", "done")),
            details=dict(data.get("details", {})),
            at=datetime.fromisoformat(data["at"]).timestamp(),
        )


def folder(day: str) -> str:
    """Return the folder of a day's entries; `day` as in `2026-11-29`."""
    return f"{FOLDER}{day}/"


def _cut(value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str) else value
