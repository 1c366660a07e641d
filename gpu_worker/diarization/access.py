"""Check whether a diarization model can be had, without loading it.

    python -m gpu_worker.diarization.access MODEL [--model-dir DIRECTORY]

prints what is wrong as JSON, or {} if nothing is, for `scriptorium doctor`. The token is
the one in HF_TOKEN or of `hf auth login`.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from importlib.util import find_spec

from gpu_worker.diarization.models import is_on_hub, needs_token, terms_page
from gpu_worker.errors import (
    HubTokenMissing,
    LibraryMissing,
    ModelGated,
    ModelUnavailable,
    ScriptoriumError,
    UnknownModel,
)
from gpu_worker.models.hub import ANSWER_SECONDS, HUB, SERVERS

_DESCRIPTION = "config.yaml"  # of a pipeline


def check_token(name: str, token: str | None, model_dir: str | None = None) -> None:
    """Raise HubTokenMissing if the hub would ask for a token and there is none.

    A model that was fetched before needs no token.
    """
    if not needs_token(name):
        return
    from huggingface_hub import get_token

    if token or get_token() or is_fetched(name, model_dir):
        return
    raise HubTokenMissing(
        f"{name} is given only to those who have accepted its terms, and there is no token.",
        hint=f"Accept the terms at {terms_page(name)}, then give a token of that account as "
        "HF_TOKEN or --hf-token-file.",
    )


def check_access(name: str, token: str | None, model_dir: str | None = None) -> None:
    """Ask the hub whether it gives the model to the owner of the token; return if it does.

    A model that was fetched before is not asked for. Raises LibraryMissing, HubTokenMissing,
    ModelGated, UnknownModel or ModelUnavailable.
    """
    if find_spec("pyannote") is None:
        raise LibraryMissing(f"{name} needs pyannote.audio.")
    check_token(name, token, model_dir)
    if not is_on_hub(name) or is_fetched(name, model_dir):
        return
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented all the same
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    try:
        # The request of the client's `auth_check`, which waits for an answer without a limit.
        with SERVERS.asking(HUB, name):
            answer = get_session().get(
                f"{constants.ENDPOINT}/api/models/{name}/auth-check",
                headers=build_hf_headers(token=token),
                timeout=ANSWER_SECONDS,
            )
            hf_raise_for_status(answer)
    except ModelUnavailable:
        raise
    except GatedRepoError as error:
        raise ModelGated(
            f"The hub does not let the owner of this token have {name}.",
            hint=f"Accept the terms at {terms_page(name)} with the account of the token.",
        ) from error
    except RepositoryNotFoundError as error:
        raise UnknownModel(f"There is no diarization model {name!r} on the hub.") from error
    except Exception as error:  # the hub's client raises many unrelated types
        raise ModelUnavailable(
            f"The hub could not be asked for {name}: {type(error).__name__}."
        ) from error


def is_fetched(name: str, model_dir: str | None) -> bool:
    """Return whether the pipeline's description (config.yaml) is on this machine already."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, _DESCRIPTION, cache_dir=model_dir), str)


def main(arguments: list[str] | None = None) -> int:
    """Check one model and print its error as JSON, or {}. Return the exit status."""
    parser = ArgumentParser(prog="python -m gpu_worker.diarization.access")
    parser.add_argument("name", metavar="MODEL")
    parser.add_argument("--model-dir")
    given = parser.parse_args(arguments)
    try:
        check_access(given.name, None, given.model_dir)
    except ScriptoriumError as error:
        print(json.dumps(error.to_json()))
        return 1
    print("{}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
