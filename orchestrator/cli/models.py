"""`models list` and `models pull`. Fetching runs in a child: no model library comes in here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from gpu_worker.models import BUILTIN_MODELS, HUB_MODELS, find_model
from orchestrator.cli.context import EXIT_FAILED, current_settings, print_json

app = typer.Typer(help="The models and where they come from.", no_args_is_help=True)


@app.command(name="list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the names that --model takes."""
    rows = [(name, "built in, for demos and tests") for name in BUILTIN_MODELS]
    rows += [("fake", "no model: words by digest, to try a deployment")]
    rows += list(HUB_MODELS.items())
    if as_json:
        print_json([{"name": name, "source": source} for name, source in rows])
        return
    for name, source in rows:
        typer.echo(f"{name:20} {source}")
    typer.echo("A directory in CTranslate2's form or owner/name on the hub works too.")


@app.command()
def pull(names: Annotated[list[str], typer.Argument(metavar="NAME...")]) -> None:
    """Fetch models, so that no job has to wait for it."""
    for name in names:
        find_model(name)
    directory = current_settings().model_dir
    arguments = ["--model-dir", str(directory)] if directory else []
    token = current_settings().hf_token
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.models", "pull", *arguments, *names],
        env=os.environ | ({"HF_TOKEN": token.get_secret_value()} if token else {}),
        check=False,
    )
    raise typer.Exit(EXIT_FAILED if child.returncode else 0)
