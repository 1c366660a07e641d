"""Which of many artifacts exist: few requests for thousands of keys, also where each takes long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tasks.artifacts import ArtifactStore, exists

ASKED_AT_ONCE = 16
LEAST_LISTED = 12  # keys of a folder: fewer are asked for one by one
# A folder may hold what other options made of the same audio. So much of it is listed for each key
# that is looked for, and what lies behind that is asked for one by one.
LISTED_FOR_EACH = 8


def present(store: ArtifactStore, keys: Iterable[str]) -> set[str]:
    """Return those of the keys that have an artifact. Raises what the store raises."""
    folders: dict[str, list[str]] = {}
    for key in set(keys):
        folders.setdefault(key[: key.rfind("/") + 1], []).append(key)
    found: set[str] = set()
    asked: list[str] = []
    for folder, wanted in folders.items():
        if folder and len(wanted) >= LEAST_LISTED:
            listed, behind = _listed(store, folder, sorted(wanted))
            found |= listed
            asked += behind
        else:
            asked += wanted
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        there = pool.map(lambda key: exists(store, key), asked)
        return found.union(key for key, is_there in zip(asked, there, strict=True) if is_there)


def _listed(
    store: ArtifactStore, folder: str, wanted: Sequence[str]
) -> tuple[set[str], Sequence[str]]:
    """List a folder, in lexical order, up to the last key that is wanted or the bound.

    Returns the keys that are there, and those that the listing did not reach.
    """
    sought, found, last = set(wanted), set(), wanted[-1]
    for number, key in enumerate(store.list(folder)):
        if key in sought:
            found.add(key)
        if key >= last:
            break
        if number >= LISTED_FOR_EACH * len(wanted):
            return found, [each for each in wanted if each > key]
    return found, ()
