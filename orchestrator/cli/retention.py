"""`retention`: what rules would delete, and what a bucket can by itself; `hold`: legal holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from gpu_worker.errors import InvalidOption, StoreUnavailable
from orchestrator.access.tenants import known_tenants
from orchestrator.cli.audit import enter
from orchestrator.cli.complaints import printable
from orchestrator.cli.context import AsJson, checked_owner, opened_cluster, print_json, tenant
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job_folder import job_folders
from orchestrator.cluster.unreadable import FAULTS, note
from orchestrator.collections.retention import CollectionRetention
from orchestrator.jobs.holds import (
    JobHeld,
    check_job,
    deletions_begun,
    end_hold,
    hold_key,
    holds,
)
from orchestrator.jobs.holds import hold as put_hold
from orchestrator.jobs.lifecycle import BUDGET_DAYS
from orchestrator.jobs.lifecycle import lifecycle as lifecycle_rules
from orchestrator.jobs.retention import TRANSCRIPTS, Gone, Retention
from orchestrator.jobs.sources import own_place
from tasks.artifacts import exists
from tasks.runs import keys


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted now, job by job.")
    ] = False,
    of: Annotated[
        str | None, typer.Option("--tenant", help="Of this tenant; by default of all.")
    ] = None,
    as_json: AsJson = False,
    lifecycle: Annotated[
        bool,
        typer.Option("--lifecycle", help="Print what the store's bucket can delete, as S3's JSON."),
    ] = False,
    audit_days: Annotated[
        int | None, typer.Option(min=1, help="There: keep the audit trail so long.")
    ] = None,
    usage_days: Annotated[
        int | None,
        typer.Option(min=BUDGET_DAYS, help="There: keep the records of what tenants used so long."),
    ] = None,
    version_days: Annotated[
        int | None, typer.Option(min=1, help="There: keep versions that were deleted so long.")
    ] = None,
) -> None:
    """Show the rules of SCRIPTORIUM_RETENTION, or with --dry-run what they would delete.

    The reconciler deletes. Give this command its settings.
    """
    owner = checked_owner(of) if of is not None else None
    to = opened_cluster()
    if lifecycle:
        asked = {"trail_days": audit_days, "usage_days": usage_days, "version_days": version_days}
        print_json(lifecycle_rules(_prefix(to), **asked))
        return
    if not dry_run:
        print_json(to.settings.retention)
        return
    found = list(_due(to, owner))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        days = one.age_seconds / 86400
        typer.echo(f"{one.tenant} {one.job} {one.kind}: {one.artifacts} objects, {days:.1f} days")
    typer.echo(f"{len(found)} would be deleted.", err=True)


def hold(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", show_default=False, help="All jobs, without.")
    ] = None,
    of: Annotated[
        str | None, typer.Option("--tenant", help="Whose job it is; by default yours.")
    ] = None,
    reason: Annotated[str, typer.Option(help="A note: why, or which case.")] = "",
    release: Annotated[bool, typer.Option("--release", help="End the hold.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Show all holds.")] = False,
) -> None:
    """Put a legal hold on a job or on a whole tenant: nothing deletes it until it is released."""
    reason = printable(reason)
    owner = tenant() if of is None else checked_owner(of)
    if job is not None:
        check_job(job)
    to = opened_cluster()
    if show:
        for held, its_job in holds(to.store):
            typer.echo(f"{held} {its_job or '(all jobs)'}")
        return
    named = f"job {job}" if job else f"all jobs of tenant {owner}"
    if release:
        if not end_hold(to.store, owner, job):
            raise InvalidOption(f"There is no hold on {named}.", hint="`hold --list` shows them.")
        enter(to, "hold.release", owner, job)
        typer.echo(f"The hold on {named} is released.")
        return
    put_hold(to.store, owner, job, reason, time.time())
    enter(to, "hold.put", owner, job, reason=reason, key=hold_key(owner, job))
    try:
        gone = deletions_begun(to.store, to.leases, owner, job)
    except StoreUnavailable as error:
        raise StoreUnavailable(
            "The hold stands. It is not known yet whether it came too late for a deletion.",
            hint="Give the command again in ten minutes: it tells.",
        ) from error
    if gone:
        raise JobHeld(
            f"The hold stands, and came too late for {', '.join(gone)}: the deletion had begun.",
            hint="A hold does not bring back what was deleted; look for a copy of the store.",
        )
    if job is not None and not exists(to.store, keys.manifest(owner, job)):
        raise InvalidOption(
            f"There is no job {job!r} of {owner}; the hold stands all the same.",
            hint="`scriptorium list --all-tenants` shows whose a job is.",
        )
    typer.echo(f"There is a hold on {named}.")


def _prefix(to: Cluster) -> str:
    bucket, prefix = own_place(to.settings)
    if bucket is None:
        raise InvalidOption(
            "The store is a directory; lifecycle rules are for buckets.",
            hint="A directory needs none: Scriptorium removes unfinished uploads there.",
        )
    return prefix


def _due(to: Cluster, of: str | None) -> Iterator[Gone]:
    rules, collections = Retention(to), CollectionRetention(to)
    for owner in [of] if of else known_tenants(to.store):
        going = set[str]()
        for folder in job_folders(to.store, owner):
            if rules.is_young(owner, folder.job):
                break  # ids sort by time
            try:
                for one in rules.apply(folder, dry_run=True):
                    going.update([one.job] if one.kind == TRANSCRIPTS else [])
                    yield one
            except FAULTS as error:
                note(f"{owner}/{folder.job}", error)
        for name in collections.old(owner):
            try:
                gone = collections.apply(owner, name, dry_run=True, going=going)
            except FAULTS as error:
                note(f"{owner}/{name}", error)
                continue
            if gone is not None:
                yield gone
