"""Commands for API keys: `keys create`, `keys list`, `keys revoke`, `keys sign`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from gpu_worker.errors import InvalidOption
from orchestrator.access import USUAL_SCOPES, Scope
from orchestrator.access.key_records import ApiKey
from orchestrator.access.keys import ApiKeys
from orchestrator.cli.audit import enter
from orchestrator.cli.context import (
    AsJson,
    checked_name,
    checked_tenant,
    current_settings,
    opened_cluster,
    print_json,
    tenant,
)
from orchestrator.cluster.connection import Cluster
from orchestrator.local.keys_secret import with_own_secret

app = typer.Typer(
    help="Create, list, revoke and sign API keys. Once one exists, every request needs a key.",
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
    owner = checked_tenant(of or tenant())
    scopes = frozenset(scope) if scope else USUAL_SCOPES
    name = name and checked_name(name)
    to, keys = _keys()
    if not keys.signer.is_on and keys.records.are_any_signed():
        raise InvalidOption(
            "The keys of this cluster are signed, so that its API would refuse an unsigned one.",
            hint="Set SCRIPTORIUM_KEYS_SECRET as the API has it.",
        )
    secret, key = keys.create(owner, name, scopes)
    enter(to, "key.create", owner, key=key.id, scopes=sorted(scopes))
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
    found = sorted(_keys()[1].records.all(), key=lambda item: item[0].created_at)
    unsigned = sum(not is_signed for _, is_signed in found)
    if as_json:
        print_json([key.to_json() for key, is_signed in found if is_signed])
    else:
        _print_table(key for key, is_signed in found if is_signed)
    if unsigned:
        typer.echo(f"{unsigned} more are not signed: `scriptorium keys sign`.", err=True)


def _print_table(keys: Iterable[ApiKey]) -> None:
    table = Table(Column("id", no_wrap=True), "created", "tenant", "name", "scopes", box=None)
    for key in keys:
        created = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            key.id,
            created,
            repr(key.tenant)[1:-1],
            repr(key.name)[1:-1],
            " ".join(sorted(key.scopes)),
        )
    Console(highlight=False, markup=False).print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
) -> None:
    """Revoke a key; running APIs refuse it within seconds."""
    to, keys = _keys()
    owner = next((key.tenant for key, _ in keys.records.all() if key.id == key_id), None)
    if not keys.revoke(key_id):
        raise InvalidOption(
            f"There is no key {key_id!r}.", hint="`scriptorium keys list` shows the ids."
        )
    enter(to, "key.revoke", owner, key=key_id)
    typer.echo(f"Key {key_id} is revoked.")


@app.command()
def sign(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Keys to sign, after a look at them.")
    ] = None,
) -> None:
    """Sign keys that were made without SCRIPTORIUM_KEYS_SECRET; without an ID, list those.

    Sign only keys that you know: a key that you did not make was written into the store by others.
    """
    to, keys = _keys(makes_secret=True)
    unsigned = {key.id: key for key, is_signed in keys.records.all() if not is_signed}
    if not ids:
        if not unsigned:
            typer.echo("Every key is signed.")
            return
        _print_table(sorted(unsigned.values(), key=lambda key: key.created_at))
        typer.echo(
            "Sign those that you know: `scriptorium keys sign ID…`. Revoke others.", err=True
        )
        return
    for key_id in ids:
        signed = keys.records.sign(key_id) if key_id in unsigned else None
        if signed is None:
            raise InvalidOption(
                f"There is no unsigned key {key_id!r}.",
                hint="`scriptorium keys sign` shows the ids.",
            )
        enter(to, "key.sign", signed.tenant, key=signed.id, scopes=sorted(signed.scopes))
        scopes = ", ".join(sorted(signed.scopes))
        typer.echo(f"Key {signed.id} of tenant {signed.tenant} is signed; it may {scopes}.")


def _keys(*, makes_secret: bool = False) -> tuple[Cluster, ApiKeys]:
    """Return the configured or running cluster, and its keys.

    `makes_secret`: a running local cluster gets a secret if it has none; elsewhere it is an error.
    """
    to = opened_cluster()
    settings, is_local = to.settings, current_settings().redis_url is None
    if makes_secret and settings.keys_secret is None:
        if not is_local:
            raise InvalidOption(
                "There is no secret to sign keys with.",
                hint="Set SCRIPTORIUM_KEYS_SECRET as the API has it.",
            )
        settings = with_own_secret(settings)
        typer.echo("A secret was made; start `scriptorium up` again to use it.", err=True)
    return to, ApiKeys(to.store, settings)
