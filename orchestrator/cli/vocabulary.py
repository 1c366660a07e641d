"""Commands for vocabularies: `vocabulary put`, `list`, `show`, `delete`."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from gpu_worker.errors import InvalidOption
from orchestrator.cli.audit import enter
from orchestrator.cli.context import AsJson, checked_tenant, opened_cluster, print_json, tenant
from orchestrator.jobs import vocabularies
from orchestrator.jobs.local_files import local_path
from tasks.runs.vocabulary import Vocabulary

app = typer.Typer(
    help="Words of yours: hot words, replacements, masked words, numbers in digits or words.",
    no_args_is_help=True,
)
Of = Annotated[str | None, typer.Option("--tenant", help="Whose it is; by default yours.")]


@app.command()
def put(
    name: Annotated[str, typer.Argument(show_default=False)],
    file: Annotated[str, typer.Argument(help="A file of JSON.", show_default=False)],
    of: Of = None,
) -> None:
    """Write a vocabulary from a file, as a new version if it is another one than the newest."""
    owner, path = checked_tenant(of or tenant()), local_path(file)
    try:
        content = Vocabulary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidOption(f"{file!r} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidOption(
            f"{file!r} is no vocabulary: {place}: {first['msg']}.",
            hint="docs/vocabularies.md has an example.",
        ) from error
    to = opened_cluster()
    found = vocabularies.put_vocabulary(to.store, owner, name, content)
    enter(to, "vocabulary.put", owner, vocabulary=found.reference)
    typer.echo(found.reference)


@app.command(name="list")
def list_vocabularies(of: Of = None, as_json: AsJson = False) -> None:
    """Show the vocabularies and their newest versions."""
    found = vocabularies.list_vocabularies(opened_cluster().store, checked_tenant(of or tenant()))
    if as_json:
        print_json([{"name": it.name, "versions": list(it.versions)} for it in found])
        return
    for named in found:
        typer.echo(f"{named.name}@{named.newest}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="name, or name@version.", show_default=False)],
    of: Of = None,
) -> None:
    """Print a vocabulary as JSON, as `put` reads it."""
    owner = checked_tenant(of or tenant())
    found = vocabularies.vocabulary_version(opened_cluster().store, owner, name)
    print_json(found.content.model_dump(mode="json"))


@app.command()
def delete(
    name: Annotated[str, typer.Argument(show_default=False)],
    of: Of = None,
) -> None:
    """Delete a vocabulary with all its versions; jobs keep the version that they have."""
    to, owner = opened_cluster(), checked_tenant(of or tenant())
    vocabularies.delete_vocabulary(to.store, owner, name)
    enter(to, "vocabulary.delete", owner, vocabulary=name)
    typer.echo(f"Vocabulary {name} is deleted.")
