"""`doctor`: check what a cluster needs and say how to repair what is missing."""

from __future__ import annotations

from dataclasses import asdict

import typer

from orchestrator.cli.context import (
    EXIT_FAILED,
    AsJson,
    configured_cluster,
    current_settings,
    print_json,
)
from orchestrator.diagnosis import diagnose

_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


def doctor(as_json: AsJson = False) -> None:
    """Check Redis, the broker, the store, the disk, the models and the GPU."""
    values = current_settings()
    running = configured_cluster(values) if values.redis_url is None else None
    findings = diagnose(running or values)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{_SIGNS[finding.state]} {finding.name:8} {finding.message}")
            if finding.hint:
                typer.echo(f"  {'':8} {finding.hint}")
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
