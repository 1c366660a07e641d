"""Options that hold a secret. Every user of a machine can read the command lines of all programs.

So a secret comes from the environment or from a file; on a command line it still works, and a
warning says what is better.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import SecretStr

from gpu_worker.errors import InvalidOption
from orchestrator.cli.spellings import spellings

HubToken = Annotated[
    str | None,
    typer.Option(
        *spellings("hf_token"), hidden=True, help="Hub token; others can see it: use the file."
    ),
]
HubTokenFile = Annotated[
    Path | None,
    typer.Option(
        *spellings("hf_token_file"),
        help="File with the hub token for models that need one; or set HF_TOKEN.",
    ),
]


def hub_token(given: str | None, file: Path | None) -> SecretStr | None:
    """Return the token of the options, or None without one.

    Raises InvalidOption for a file that cannot be read or is empty.
    """
    if file is None:
        if given:
            warn("--hf-token", "--hf-token-file or HF_TOKEN")
        return SecretStr(given) if given else None
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(
            f"The file of --hf-token-file cannot be read: {error}.",
            hint="Give a file that holds the token alone.",
        ) from error
    if not token:
        raise InvalidOption(
            "The file of --hf-token-file is empty.", hint="Give a file that holds the token alone."
        )
    return SecretStr(token)


def warn_of_password(option: str, url: str, variable: str) -> None:
    """Print a warning if a URL of the command line holds a password."""
    try:
        has_password = bool(urlsplit(url).password)
    except ValueError:  # the address is refused later, with a sentence of its own
        has_password = "@" in url
    if has_password:
        warn(option, variable)


def warn(option: str, instead: str) -> None:
    """Print that other users of the machine can read the option's secret."""
    typer.echo(
        f"Warning: every user of this machine can read the secret of {option} on the command "
        f"line. Use {instead}.",
        err=True,
    )
