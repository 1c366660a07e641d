"""The audit trail on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from orchestrator.cluster.connection import Cluster
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run

__all__ = ["cluster", "run"]


def test_commands_about_keys_enter_what_they_did(run: Run, cluster: Cluster) -> None:
    first = datetime.now(UTC).date()
    made = run("keys", "create", "--tenant", "acme", "--json").json
    run("keys", "revoke", made["id"])
    lines = [
        json.loads(line) for line in run("audit", "--action", "key", "--json").out.splitlines()
    ]
    assert [line["action"] for line in lines] == ["key.create", "key.revoke"]
    assert lines[0]["tenant"] == "acme" and lines[0]["by"].startswith("cli:")
    assert all(line["details"]["key"] == made["id"] for line in lines)
    days = ("--day", f"{first}", "--until", f"{first + timedelta(days=1)}")  # midnight may pass
    shown = run("audit", *days, "--tenant", "acme").out
    assert "key.create" in shown and "key.revoke" in shown
    assert run("audit", "--tenant", "another", "--json").out == ""
    assert made["key"] not in shown


def test_other_days_are_empty_and_wrong_ones_refused(run: Run, cluster: Cluster) -> None:
    run("keys", "create")
    assert run("audit", "--day", "2020-01-01", "--until", "2020-01-03", "--json").out == ""
    assert run("audit", "--day", "yesterday").status == 2
    assert run("audit", "--day", "2020-01-02", "--until", "2020-01-01").status == 2
