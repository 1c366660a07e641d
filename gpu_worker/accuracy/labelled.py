"""A labelled set: a directory of recordings, each with a `.txt` of the same stem that it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.errors import InvalidOption

_TEXT = ".txt"
# What `transcribe` writes beside a recording: no recordings.
_WRITTEN = frozenset({_TEXT, ".json", ".srt", ".vtt", ".tsv", ".rttm"})
_HINT = "Put talk.txt, with what is said, beside talk.mp3."


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One recording, and what is said in it."""

    path: Path
    text: str


def reference_texts(directory: Path) -> Mapping[str, str]:
    """Return the texts of a directory by their files' stems. Raises InvalidOption."""
    try:
        return {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted(directory.iterdir())
            if path.suffix == _TEXT and path.is_file()
        }
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a text is not UTF-8"
        raise InvalidOption(f"{directory} cannot be read: {reason}.", hint=_HINT) from error


def labelled_files(directory: Path) -> tuple[LabelledFile, ...]:
    """Return the labelled recordings of a directory, by name; pass over files without a text.

    Raises InvalidOption if there are none, if two files have one text, or if nothing is said.
    """
    texts = reference_texts(directory)
    found = [
        LabelledFile(path, texts[path.stem])
        for path in sorted(directory.iterdir())
        if path.stem in texts and path.suffix not in _WRITTEN and path.is_file()
    ]
    if not found:
        raise InvalidOption(f"{directory} has no recording with a text.", hint=_HINT)
    stems = [file.path.stem for file in found]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InvalidOption(f"{twice[0]}.txt is the text of several files.", hint=_HINT)
    if not any(file.text.strip() for file in found):
        raise InvalidOption(f"All texts of {directory} are empty.", hint=_HINT)
    return tuple(found)
