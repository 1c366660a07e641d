"""The models of NeMo's Parakeet kind: their names, files and languages.

Parakeet is a FastConformer encoder with a head that writes as it listens: CTC, RNN-T or TDT. Their
files are those that onnx-asr reads: graphs for ONNX Runtime, `vocab.txt` and `config.json`. A name
is of this kind if it is in the table, if it is a repository whose name ends in `-onnx`, or a
directory with such files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.errors import InvalidOption
from gpu_worker.models.files import ModelFiles

_ENGLISH = frozenset({"en"})
# The 25 languages of NVIDIA's model card of parakeet-tdt-0.6b-v3.
_EUROPEAN = frozenset(
    {"bg", "hr", "cs", "da", "nl", "en", "et", "fi", "fr", "de", "el", "hu", "it",
     "lv", "lt", "mt", "pl", "pt", "ro", "sk", "sl", "es", "sv", "ru", "uk"}
)  # fmt: skip
INSTALL_PARAKEET = "Install the parakeet extra: pip install 'scriptorium[worker,parakeet]'."
CARD = "model.json"  # beside the graphs; says the languages of a model that is in no table
_REPOSITORY_END = "-onnx"  # as onnx-asr's author names them
_GRAPHS = (("model{}.onnx",), ("encoder-model{}.onnx", "decoder_joint-model{}.onnx"))
_TEXTS = ("vocab.txt", "config.json")


@dataclass(frozen=True, slots=True)
class ParakeetModel:
    """A model's repository on the hub, in onnx-asr's form, and the languages that it writes."""

    repository: str
    languages: frozenset[str]


# Repositories: the table of onnx-asr 0.12 (`resolver.py`).
PARAKEET_MODELS: Mapping[str, ParakeetModel] = {
    "parakeet-tdt-0.6b-v3": ParakeetModel("istupakov/parakeet-tdt-0.6b-v3-onnx", _EUROPEAN),
    "parakeet-tdt-0.6b-v2": ParakeetModel("istupakov/parakeet-tdt-0.6b-v2-onnx", _ENGLISH),
    "parakeet-rnnt-0.6b": ParakeetModel("istupakov/parakeet-rnnt-0.6b-onnx", _ENGLISH),
    "parakeet-ctc-0.6b": ParakeetModel("istupakov/parakeet-ctc-0.6b-onnx", _ENGLISH),
}
_LANGUAGES = {
    **{name: model.languages for name, model in PARAKEET_MODELS.items()},
    **{model.repository: model.languages for model in PARAKEET_MODELS.values()},
}


def parakeet_files(quantization: str | None = None) -> ModelFiles:
    """Return the files of such a model; `quantization` is int8, or None for float32."""
    mark = f".{quantization}" if quantization else ""
    sets = tuple(tuple(name.format(mark) for name in names) for names in _GRAPHS)
    graphs = tuple(name for names in sets for name in names)
    weights = tuple(f"{name}.data" for name in graphs)  # of graphs above 2 GB
    return ModelFiles(
        fetched=(*graphs, *weights, *_TEXTS, CARD),
        needed=tuple((*names, *_TEXTS) for names in sets),
    )


PARAKEET_FILES = parakeet_files()


def is_parakeet(name: str) -> bool:
    """Return whether a model's name is of this kind; looks into a directory."""
    if Path(name).is_absolute():
        return any(
            parakeet_files(quantization).is_whole(Path(name)) for quantization in (None, "int8")
        )
    return name in PARAKEET_MODELS or ("/" in name and name.endswith(_REPOSITORY_END))


def parakeet_languages(name: str, directory: Path | None = None) -> frozenset[str] | None:
    """Return the codes of the languages that a model writes, or None if that is not known.

    They stand in `model.json` in its directory, or in the table. Raises InvalidOption for a
    `model.json` that is not one.
    """
    if directory is None and Path(name).is_absolute():
        directory = Path(name)
    card = directory / CARD if directory is not None else None
    if card is None or not card.is_file():
        return _LANGUAGES.get(name)
    try:
        found = json.loads(card.read_text(encoding="utf-8")).get("languages")
        return frozenset(map(str, found)) if found else _LANGUAGES.get(name)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InvalidOption(f"{card} cannot be read: {error}.") from error


def check_hears(name: str, languages: frozenset[str] | None, asked: Sequence[str]) -> None:
    """Raise InvalidOption if a model is to hear which of several languages is spoken, and cannot.

    `languages` are the model's, None if they are not known here.
    """
    if languages is None or len(languages) == 1 or not asked:
        return
    raise InvalidOption(
        f"Model {name!r} writes several languages and does not say which one it hears, so it "
        "cannot follow languages: give one, or choose a multilingual Whisper, for example base."
    )


def check_writes(
    name: str, languages: frozenset[str] | None, language: str | None, task: str
) -> None:
    """Raise InvalidOption if a model of this kind is asked for what it cannot do.

    `languages` are the model's, None if they are not known here; `language` is a code, or None if
    it was not given. It would write words of its own languages for sounds of another one.
    """
    if task == "translate":
        raise InvalidOption(
            f"Model {name!r} cannot translate: use task=transcribe, or choose a multilingual "
            "Whisper, for example base or large-v3."
        )
    if language is not None and languages is not None and language not in languages:
        raise InvalidOption(
            f"Model {name!r} does not know language={language}, only "
            f"{', '.join(sorted(languages))}: choose another model, for example base or large-v3."
        )
