"""What a Whisper model can do (languages, translation), its best beam size, and model choice.

All of it is read from the model's name, before the model is loaded: names that end in `.en` are
English-only (openai/whisper's convention, which the hub's repositories follow). Pure.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import TranscriptWarning

_SMALL = re.compile(r"(^|-)(tiny|base)(\.en)?$")
# Best first. On a GPU by accuracy for its time, on a CPU near the largest that keeps up with
# speech on two cores (docs/accuracy.md, docs/speed.md).
_ON_GPU = (
    "large-v3-turbo", "large-v3", "large-v2", "large-v1", "medium", "small", "base", "tiny",
)  # fmt: skip
_ON_CPU = (
    "base", "small", "tiny", "medium", "large-v3-turbo", "large-v3", "large-v2", "large-v1",
)  # fmt: skip
_OF_ENGLISH = frozenset({"medium", "small", "base", "tiny"})  # there is also one with `.en`
_BEAMS = 5  # openai/whisper's command line, faster-whisper and whisperX have as many for all models


def usual_beam_size(model: str) -> int:
    """Return the default beam size for a model's, a repository's or a directory's name: 5 or 1.

    With tiny.en and base five beams write fewer wrong words (`docs/accuracy.md`;
    `python -m benchmarks.words.decode_quality`). For larger models this was not measured; they
    decode greedily, for speed.
    """
    return _BEAMS if _SMALL.search(PurePath(model).name) else 1


def is_english_only(model: str) -> bool:
    """Return whether the name says that the model knows English only.

    A directory may have any name, so it gives False, and the engine checks the model itself.
    """
    return model.endswith(".en") and not PurePath(model).is_absolute()


def check_english_only(model: str, language: str | None, task: str) -> None:
    """Raise InvalidOption if a model that knows English only is asked for anything else.

    `language` is a code, or None if it was not given. Without this check such a model
    would write English words for sounds of another language.
    """
    if language not in (None, "en"):
        raise InvalidOption(
            f"Model {model!r} knows English only and cannot hear language={language}: leave the "
            "language out, or choose a multilingual model, for example base or large-v3."
        )
    if task == "translate":
        raise InvalidOption(
            f"Model {model!r} knows English only and cannot translate: use task=transcribe, or "
            "choose a multilingual model, for example base or large-v3."
        )


def can_translate(model: str) -> bool:
    """Return False for names whose models were trained to transcribe only.

    These are turbo (openai/whisper README, "Available models and languages") and the
    distilled models (their model cards); they answer, but mostly in the language spoken.
    """
    name = PurePath(model).name.lower()
    return not (name == "turbo" or "large-v3-turbo" in name or "distil-" in name)


def translation_notices(model: str, task: str) -> tuple[TranscriptWarning, ...]:
    """Return a warning if the task is to translate and the model was not trained for that."""
    if task != "translate" or can_translate(model):
        return ()
    return (
        TranscriptWarning(
            "translation_unsupported",
            f"Model {model!r} was not trained to translate, so the text may be in the language "
            "that was spoken. For English choose another model, for example large-v3 or medium.",
        ),
    )


def wanted_models(device: str, language: str | None, task: str) -> tuple[str, ...]:
    """Return the names of transcription models to try, best first, for `cpu` or `cuda`.

    A translation needs a model that was trained to translate, which turbo was not. English-only
    models come behind the others, and only if the language is given as English.
    """
    names = _ON_CPU if device == "cpu" else _ON_GPU
    if task == "translate":
        return tuple(name for name in names if name != "large-v3-turbo")
    if language != "en":
        return names
    return (*names, *(f"{name}.en" for name in names if name in _OF_ENGLISH))
