"""Commands for API keys: `keys create`, `keys list`, `keys revoke`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from config.settings import TENANT_PATTERN
from gpu_worker.errors import InvalidOption
from orchestrator.access import USUAL_SCOPES, Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.cli.context import AsJson, opened_cluster, print_json, tenant

app = typer.Typer(
    help="Create, list and revoke API keys. Once one exists, every request needs a key.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="A note: who uses the key, or what for.")] = "",
    of: Annotated[
        str | None,
        typer.Option("--tenant", help="Tenant whose jobs the key sees; by default yours."),
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="read, write, admin or operate; repeatable. By default read and write."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it once: the store keeps only its hash."""
    owner = of or tenant()
    if not re.fullmatch(TENANT_PATTERN, owner):
        raise InvalidOption(
            f"{owner!r} cannot be a tenant.",
            hint="Use lower case letters, digits and dashes, at most 63.",
        )
    scopes = frozenset(scope) if scope else USUAL_SCOPES
    secret, key = _keys().create(owner, name, scopes)
    if as_json:
        print_json({"key": secret, **key.to_json()})
        return
    typer.echo(secret)
    typer.echo(
        f"Key {key.id} of tenant {key.tenant}, may {', '.join(sorted(scopes))}. "
        "It is not shown again.",
        err=True,  # standard output has the key alone, for pipes
    )


@app.command(name="list")
def list_keys(as_json: AsJson = False) -> None:
    """Show the keys of every tenant: ids, names and scopes, never the secrets."""
    found = sorted(_keys().list(), key=lambda key: key.created_at)
    if as_json:
        print_json([key.to_json() for key in found])
        return
    table = Table(Column("id", no_wrap=True), "created", "tenant", "name", "scopes", box=None)
    for key in found:
        created = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            key.id, created, key.tenant, repr(key.name)[1:-1], " ".join(sorted(key.scopes))
        )
    Console(highlight=False, markup=False).print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
) -> None:
    """Revoke a key; running APIs refuse it within seconds."""
    if not _keys().revoke(key_id):
        raise InvalidOption(
            f"There is no key {key_id!r}.", hint="`scriptorium keys list` shows the ids."
        )
    typer.echo(f"Key {key_id} is revoked.")


def _keys() -> ApiKeys:
    to = opened_cluster()
    return ApiKeys(to.store, to.settings)
