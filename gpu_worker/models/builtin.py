"""The table of transcription models that are never fetched: in the package, or without files.

A row names the models of words and of speakers that belong to it as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.builtin import PICO

FAKE_NAME = re.compile(r"^fake(-[1-9]\d{0,5}x)?$")  # also of its aligner and of its diarizer
PICO_NAME = "pico"
PICO_ALIGN_NAME = "pico-align"
PICO_VOICE_NAME = "pico-voice"


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """One model that jobs may name on every machine."""

    about: str  # for people, in `models list`
    align_model: str  # times the words
    diarize_model: str  # tells speakers apart
    languages: frozenset[str] | None = None  # codes that align_model knows; None: all
    directory: Path | None = None  # of the model's files; None: it has none


BUILTIN_MODELS: Mapping[str, BuiltinModel] = {
    PICO_NAME: BuiltinModel(
        "built in, for demos and tests",
        align_model=PICO_ALIGN_NAME,
        diarize_model=PICO_VOICE_NAME,
        languages=frozenset({"en", "es"}),
        directory=PICO,
    ),
    "fake": BuiltinModel(
        "no model: words computed from a digest, to try a deployment",
        align_model="fake",
        diarize_model="fake",
    ),
}


def builtin_model(name: str) -> BuiltinModel | None:
    """Return the row of a model's name, also of `fake-50x`; None for a model that is fetched."""
    return BUILTIN_MODELS.get("fake" if FAKE_NAME.match(name) else name)
