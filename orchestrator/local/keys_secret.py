"""The secret with which a local cluster signs its API keys, kept in its home for good.

Only this user can read the file. The cluster's workers run as the same user: on one machine it
keeps out what has the store alone, such as a shared directory or a bucket.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import SecretStr

from config.settings import SHORTEST_SECRET, Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access.key_records import KeyRecords
from orchestrator.access.signatures import Signer
from tasks.artifacts import ArtifactStore

NAME = "keys-secret"
log = structlog.get_logger(__name__)


def with_kept_secret(settings: Settings) -> Settings:
    """Return the settings with the home's secret, if they name none and the home has one.

    Raises InvalidOption if the file is there and cannot be used.
    """
    if settings.keys_secret is not None:
        return settings
    place = settings.home / NAME
    try:
        text = place.read_text("ascii").strip()
    except FileNotFoundError:
        return settings
    except (OSError, ValueError) as error:
        raise _unusable(place, str(error)) from error
    if len(text) < SHORTEST_SECRET:
        raise _unusable(place, f"it has fewer than {SHORTEST_SECRET} characters")
    return settings.model_copy(update={"keys_secret": SecretStr(text)})


def with_own_secret(settings: Settings) -> Settings:
    """Return the settings with the home's secret, which is made if there is none.

    Raises InvalidOption if the home cannot be written to.
    """
    kept = with_kept_secret(settings)
    if kept.keys_secret is not None:
        return kept
    place = settings.home / NAME
    unfinished = place.with_name(f"{NAME}.{os.getpid()}")
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):  # another command was quicker: its secret counts
            os.link(unfinished, place)
    except OSError as error:
        raise _unusable(place, str(error)) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return with_kept_secret(settings)


def with_secret_for(settings: Settings, store: ArtifactStore) -> Settings:
    """Return the settings of a local cluster with the secret for its keys.

    Keys that an earlier release has made are not signed. While there are only such keys, no secret
    is made, so that they go on working until `scriptorium keys sign` is used.
    """
    kept = with_kept_secret(settings)
    if kept.keys_secret is not None:
        return kept
    if KeyRecords(store, Signer(kept)).are_any(revoked=False):
        log.warning("keys_without_signatures", hint="Look at them: `scriptorium keys sign`.")
        return kept
    return with_own_secret(settings)


def _unusable(place: Path, reason: str) -> InvalidOption:
    return InvalidOption(
        f"{place}, the secret that signs API keys, cannot be used: {reason}.",
        hint="Make it readable for you alone, or delete it and sign the keys again.",
    )
