"""`doctor`: check what a cluster needs and say how to repair what is missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.context import (
    EXIT_FAILED,
    AsJson,
    configured_cluster,
    current_settings,
    print_json,
)
from orchestrator.diagnosis import diagnose
from orchestrator.diagnosis.check_result import CheckResult
from orchestrator.diagnosis.components import Component, found_component

_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


def doctor(
    component: Annotated[
        Component | None,
        typer.Option(help="What the process is for; by default what is set or installed tells."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check what a process of the cluster needs: Redis, the store, the disk, models, the GPU.

    Ends with status 1 if one of the component's checks fails.
    """
    values = current_settings()
    running = configured_cluster(values) if values.redis_url is None else None
    chosen, because = (component, "--component says so") if component else found_component(values)
    findings = [CheckResult("checked", "ok", f"{chosen}: {because}.")]
    findings += diagnose(running or values, chosen)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{_SIGNS[finding.state]} {finding.name:8} {finding.message}")
            if finding.hint:
                typer.echo(f"  {'':8} {finding.hint}")
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
