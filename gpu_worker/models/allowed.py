"""Which models jobs may name: those of this package's tables, and those that the operator lists.

A model's files are read by libraries that were not made for strangers' files, and the hub gives
some of them only to the operator's token. So a submitter chooses among names that the operator
knows. Pure: no answer depends on whether a directory or a repository exists.
"""

from __future__ import annotations

from collections.abc import Collection

from gpu_worker.errors import ModelNotTrusted, UnknownModel
from gpu_worker.models.builtin import FAKE_NAME, PICO_NAME
from gpu_worker.models.parakeet import PARAKEET_MODELS
from gpu_worker.models.whisper import AUTO, HUB_MODELS

KNOWN_MODELS = frozenset({AUTO, PICO_NAME, *HUB_MODELS, *PARAKEET_MODELS})
FAKE = "fake"  # stands for all its speeds; their units are computed in no time, and are measured


def listed_name(name: str, revision: str | None = None) -> str:
    """Return the name by which an operator allows a model, or a revision of it."""
    if FAKE_NAME.match(name):
        return FAKE
    return name if revision is None else f"{name}@{revision}"


def check_allowed(
    name: str,
    allowed: Collection[str],
    *,
    known: Collection[str] = KNOWN_MODELS,
    revision: str | None = None,
) -> None:
    """Raise ModelNotTrusted unless the model is one of `known` or `allowed`.

    A revision must be allowed as `name@revision`: on the hub a revision may be a change that a
    stranger has proposed. Raises UnknownModel for a name that is neither a directory nor a
    repository.
    """
    listed = listed_name(name, revision)
    if listed in allowed or (revision is None and name in known):
        return
    if "/" not in name and not FAKE_NAME.match(name) and name not in known:
        raise UnknownModel(f"There is no model named {name!r}.")
    raise ModelNotTrusted(
        f"{listed} is not one of the models that jobs may name here.",
        hint="`scriptorium models list` shows the names that they may; the operator of the "
        "cluster can add others in SCRIPTORIUM_ALLOWED_MODELS, also on the workers.",
    )
