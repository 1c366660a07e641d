"""Choose the model that aligns a language, and fetch its files.

The names are facts of whisperX 3.8 (`DEFAULT_ALIGN_MODELS_TORCH` and `_HF` in its
alignment.py), so that both aligners use the same models. Names in capitals are
torchaudio's bundles; the others are repositories on the hub.

This module only names and fetches them; `emissions` and `whisperx` load them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from gpu_worker.builtin import PICO_ALIGN
from gpu_worker.errors import NoAlignModel, UnknownModel
from gpu_worker.models.allowed import check_allowed
from gpu_worker.models.builtin import FAKE_NAME, PICO_ALIGN_NAME, builtin_model
from gpu_worker.models.hub import fetch_snapshot
from gpu_worker.models.whisper import HUB_NAME

BUILTIN_ALIGN_MODELS = {PICO_ALIGN_NAME: PICO_ALIGN}
DEFAULT_ALIGN_MODELS = {
    "ar": "jonatasgrosman/wav2vec2-large-xlsr-53-arabic",
    "ca": "softcatala/wav2vec2-large-xlsr-catala",
    "cs": "comodoro/wav2vec2-xls-r-300m-cs-250",
    "da": "saattrupdan/wav2vec2-xls-r-300m-ftspeech",
    "de": "VOXPOPULI_ASR_BASE_10K_DE",
    "el": "jonatasgrosman/wav2vec2-large-xlsr-53-greek",
    "en": "WAV2VEC2_ASR_BASE_960H",
    "es": "VOXPOPULI_ASR_BASE_10K_ES",
    "eu": "stefan-it/wav2vec2-large-xlsr-53-basque",
    "fa": "jonatasgrosman/wav2vec2-large-xlsr-53-persian",
    "fi": "jonatasgrosman/wav2vec2-large-xlsr-53-finnish",
    "fr": "VOXPOPULI_ASR_BASE_10K_FR",
    "gl": "ifrz/wav2vec2-large-xlsr-galician",
    "he": "imvladikon/wav2vec2-xls-r-300m-hebrew",
    "hi": "theainerd/Wav2Vec2-large-xlsr-hindi",
    "hr": "classla/wav2vec2-xls-r-parlaspeech-hr",
    "hu": "jonatasgrosman/wav2vec2-large-xlsr-53-hungarian",
    "id": "cahya/wav2vec2-large-xlsr-indonesian",
    "it": "VOXPOPULI_ASR_BASE_10K_IT",
    "ja": "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
    "ka": "xsway/wav2vec2-large-xlsr-georgian",
    "ko": "kresnik/wav2vec2-large-xlsr-korean",
    "lv": "jimregan/wav2vec2-large-xlsr-latvian-cv",
    "ml": "gvs/wav2vec2-large-xlsr-malayalam",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
    "nn": "NbAiLab/nb-wav2vec2-1b-nynorsk",
    "no": "NbAiLab/nb-wav2vec2-1b-bokmaal-v2",
    "pl": "jonatasgrosman/wav2vec2-large-xlsr-53-polish",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ro": "gigant/romanian-wav2vec2",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "sk": "comodoro/wav2vec2-xls-r-300m-sk-cv8",
    "sl": "anton-l/wav2vec2-large-xlsr-53-slovenian",
    "sv": "KBLab/wav2vec2-large-voxrex-swedish",
    "te": "anuragshas/wav2vec2-large-xlsr-53-telugu",
    "tl": "Khalsuu/filipino-wav2vec2-l-xls-r-300m-official",
    "tr": "mpoyraz/wav2vec2-xls-r-300m-cv7-turkish",
    "uk": "Yehor/wav2vec2-xls-r-300m-uk-with-small-lm",
    "ur": "kingabzpro/wav2vec2-large-xls-r-300m-Urdu",
    "vi": "nguyenvulebinh/wav2vec2-base-vi-vlsp2020",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
}
KNOWN_ALIGN_MODELS = frozenset({*BUILTIN_ALIGN_MODELS, *DEFAULT_ALIGN_MODELS.values()})
_BUNDLE_NAME = re.compile(r"^[A-Z][A-Z0-9_]+$")
_TEXT_FILES = ("*.json",)
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # the first kind that is there


def align_model(transcription_model: str, language: str, chosen: str | None) -> str:
    """Return the name of the model that aligns `language`. Raises NoAlignModel.

    It is `chosen`, if that is given; else the one that belongs to the transcription model; else
    whisperX's for the language.
    """
    if chosen:
        return chosen
    builtin = builtin_model(transcription_model)
    if builtin and (builtin.languages is None or language in builtin.languages):
        return builtin.align_model
    if language not in DEFAULT_ALIGN_MODELS:
        raise NoAlignModel(f"No model is known that aligns the language {language!r}.")
    return DEFAULT_ALIGN_MODELS[language]


def check_align_model(name: str, allowed: Collection[str]) -> None:
    """Raise ModelNotTrusted or UnknownModel unless jobs may name this model (`check_allowed`)."""
    check_allowed(name, allowed, known=KNOWN_ALIGN_MODELS)


def is_local(name: str) -> bool:
    """Return whether the model is in the package or a directory, so that nothing is fetched."""
    return name in BUILTIN_ALIGN_MODELS or bool(FAKE_NAME.match(name)) or Path(name).is_absolute()


def is_bundle(name: str) -> bool:
    """Return whether torchaudio fetches this model (it is one of its bundles), and not the hub."""
    return _BUNDLE_NAME.match(name) is not None


def fetch_align_model(name: str, model_dir: str | None, token: str | None) -> Path:
    """Return the directory with the model's files; fetch them first if need be. Not for bundles.

    Raises UnknownModel, and ModelUnavailable if the hub cannot be reached or refuses.
    """
    if name in BUILTIN_ALIGN_MODELS:
        return BUILTIN_ALIGN_MODELS[name]
    if Path(name).is_absolute() and (Path(name) / "config.json").is_file():
        return Path(name)
    if not HUB_NAME.match(name):
        raise UnknownModel(f"There is no align model named {name!r}.")
    for weights in _WEIGHTS:
        directory = fetch_snapshot(
            name,
            f"Align model {name!r}",
            (*_TEXT_FILES, weights),
            _has_weights,
            model_dir=model_dir,
            token=token,
        )
        if _has_weights(directory):
            break
    return directory


def _has_weights(directory: Path) -> bool:
    return any(any(directory.glob(weights)) for weights in _WEIGHTS)
