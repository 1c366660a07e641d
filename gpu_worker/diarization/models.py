"""The names of diarization models, which of them are trusted, and which need a token.

Only names; `loaded.py` loads the models.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gpu_worker.diarization.offline import OFFLINE_NAME
from gpu_worker.errors import ModelNotTrusted, UnknownModel
from gpu_worker.models.allowed import FAKE
from gpu_worker.models.builtin import FAKE_NAME, PICO_VOICE_NAME, builtin_model
from gpu_worker.models.whisper import HUB_NAME

COMMUNITY = "pyannote/speaker-diarization-community-1"  # the hub's default, CC-BY-4.0, gated


def diarize_model(transcription_model: str, chosen: str | None = None) -> str:
    """Return a job's diarization model: the chosen one, else one for its transcription model."""
    if chosen:
        return chosen
    builtin = builtin_model(transcription_model)
    return builtin.diarize_model if builtin else COMMUNITY


def is_on_hub(name: str) -> bool:
    """Return whether a model is on the hub, and not on this machine or in a wheel.

    Raises UnknownModel.
    """
    if name in (PICO_VOICE_NAME, OFFLINE_NAME) or FAKE_NAME.match(name):
        return False
    if Path(name).is_absolute() and (Path(name) / "config.yaml").is_file():
        return False
    if HUB_NAME.match(name):
        return True
    raise _unknown(name)


def check_trusted(name: str, trusted: Collection[str]) -> None:
    """Raise ModelNotTrusted unless the model is built in, pyannote's own or one of `trusted`.

    A pipeline's checkpoints are pickles: loading them runs all code that is in them. The files of
    `offline` are known by their SHA-256, and only numbers are read from them. Raises UnknownModel
    for a name of no form; does not look whether a directory exists.
    """
    listed = FAKE if FAKE_NAME.match(name) else name
    if listed in trusted or listed in (PICO_VOICE_NAME, OFFLINE_NAME):
        return
    if listed != FAKE and not Path(name).is_absolute() and not HUB_NAME.match(name):
        raise _unknown(name)
    if not name.startswith("pyannote/"):
        raise ModelNotTrusted(f"{name} is not one of the diarization models that are trusted here.")


def needs_token(name: str) -> bool:
    """Return whether the hub gives the model only to accounts that have accepted its terms."""
    return is_on_hub(name) and name.lower().startswith("pyannote/")


def terms_page(name: str) -> str:
    """Return the address of the page on which a gated model's terms are accepted."""
    return f"https://hf.co/{name}"


def _unknown(name: str) -> UnknownModel:
    return UnknownModel(
        f"There is no diarization model named {name!r}.",
        hint=f"Use {COMMUNITY}, another owner/name on the hub, {OFFLINE_NAME}, {PICO_VOICE_NAME}, "
        "or a directory with pyannote's config.yaml.",
    )
