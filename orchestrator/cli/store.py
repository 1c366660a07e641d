"""`store verify` and `store repair`: whether the store is sound, and what makes it so."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Annotated, Any

import typer

from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import (
    EXIT_FAILED,
    AsJson,
    configured_cluster,
    current_settings,
    print_json,
)
from orchestrator.soundness.findings import Action, Finding, Kind
from orchestrator.soundness.mending import mend
from orchestrator.soundness.walking import Walk
from tasks.artifacts import ArtifactStore
from tasks.artifacts.opening import open_store

SHOWN = 1000  # findings of a kind that are shown; all are counted
TOLD_SECONDS = 2.0  # between lines of progress
app = typer.Typer(
    help="Whether the store is sound, as after a restore from a copy, and what makes it so.",
    no_args_is_help=True,
)
Unclaimed = Annotated[
    bool,
    typer.Option("--unclaimed", help="Also files that no job claims; while none are uploaded."),
]


@app.command()
def verify(unclaimed: Unclaimed = False, as_json: AsJson = False) -> None:
    """List what is unsound in the store; the exit status is 1 if anything is.

    It needs no Redis and changes nothing. Jobs of the last minute are not looked at.
    """
    if _look(None, unclaimed=unclaimed, as_json=as_json):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def repair(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    unclaimed: Unclaimed = False,
    as_json: AsJson = False,
) -> None:
    """Make the store sound: open again what has no end, bury half jobs, count and owe what is due.

    It needs no Redis. Beside a cluster it may run too: the reconciler takes up what is open, and
    deletes what is buried.
    """
    _look(None if dry_run else _store(), unclaimed=unclaimed, as_json=as_json)


def _look(mended: ArtifactStore | None, *, unclaimed: bool, as_json: bool) -> int:
    """Tell each finding, mend it if a store is given, and return how many there are."""
    told = _Progress()
    walk = Walk(mended or _store(), told)
    counts, shown, left = Counter[Kind](), list[dict[str, str]](), 0
    for finding in walk.findings(with_contents=unclaimed):
        if mended is not None:
            finding = _mended(mended, finding)
        counts[finding.kind] += 1
        left += finding.action is Action.NOTHING
        if counts[finding.kind] > SHOWN:
            continue
        if as_json:
            shown.append(_row(finding))
        else:
            typer.echo(f"{finding.kind:<18} {finding.action:<8} {finding.key!r}"[:500])
    total = sum(counts.values())
    if as_json:
        named = {str(kind): number for kind, number in sorted(counts.items())}
        report: dict[str, Any] = {"jobs": walk.jobs, "unsound": total, "kinds": named}
        print_json(report | {"is_mended": mended is not None, "left": left, "findings": shown})
        return total
    for kind, number in sorted(counts.items()):
        typer.echo(f"{kind}: {number}", err=True)
    done = f"{total} unsound"
    if mended is not None:
        done = f"{total - left} mended" + (f", {left} left for a person to look at" if left else "")
    typer.echo(f"{walk.jobs} jobs looked at, {done}.", err=True)
    return total


def _mended(store: ArtifactStore, finding: Finding) -> Finding:
    """Mend it; where a stray file is in the way tell so, and leave it to a person."""
    try:
        mend(store, finding)
    except ValueError as error:
        typer.echo(f"{finding.key!r} is left as it is: {error}."[:500], err=True)
        return replace(finding, action=Action.NOTHING)
    return finding


def _row(finding: Finding) -> dict[str, str]:
    return {
        "kind": finding.kind,
        "key": finding.key,
        "action": finding.action,
        "tenant": finding.tenant,
        "job": finding.job,
    }


def _store() -> ArtifactStore:
    """Open the configured store, or that of this user's running cluster; ask no Redis.

    Raises InvalidOption for one in which nothing is: of a mistyped address all would be well.
    """
    values = current_settings()
    if values.store_url is None:
        values = configured_cluster(values) or values
    if values.store_url is None:
        raise InvalidOption(
            "No store is configured and no cluster runs here.",
            hint="Set SCRIPTORIUM_STORE_URL, or give --store-url before the command.",
        )
    store = open_store(values.store_url, endpoint_url=values.s3_endpoint_url)
    if not store.first("", 1):
        raise InvalidOption(
            f"There is nothing at all in {store.url}.", hint="Check its address, or the copy."
        )
    return store


class _Progress:
    """Lines on standard error, a few seconds apart."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + TOLD_SECONDS

    def __call__(self, tenant: str, jobs: int) -> None:
        if time.monotonic() >= self._due_at:
            typer.echo(f"{jobs} jobs looked at, now those of {tenant} …", err=True)
            self._due_at = time.monotonic() + TOLD_SECONDS
