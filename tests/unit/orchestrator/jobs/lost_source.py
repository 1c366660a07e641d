"""A file that goes with another job while it is submitted, for tests of each way in."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.jobs import acceptance
from tasks.runs import keys
from tasks.state import claims


def lose_source_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Delete the file of the next submission just before it is claimed.

    Returns the jobs that claim theirs from now on, with the first one.
    """
    claimed_by: list[str] = []

    def claim(store: Any, leases: Any, tenant: str, job: str, contents: Any) -> None:
        if not claimed_by:
            store.delete(keys.source(tenant, contents[0]))
        claimed_by.append(job)
        claims.claim(store, leases, tenant, job, contents)

    monkeypatch.setattr(acceptance, "claim", claim)
    return claimed_by
