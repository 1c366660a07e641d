"""A labelled set: recordings, each with what is known of it.

In a directory `talk.mp3` has its text in `talk.txt`. It may also have `talk.rttm` (who speaks
when), `talk.stm` (who says what; without a `.txt` it is the text) and `talk.words.json` (when
each word is said).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.accuracy.references import read_rttm, read_stm, read_word_times
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn, Word

_TEXT, _TURNS, _SPOKEN, _WORDS = ".txt", ".rttm", ".stm", ".words.json"
# What `transcribe` writes beside a recording, and what is known of one: no recordings.
_WRITTEN = frozenset({_TEXT, _TURNS, _SPOKEN, ".json", ".srt", ".vtt", ".tsv"})
_HINT = "Put talk.txt, with what is said, beside talk.mp3."


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One recording, and what is known of it; what is not known is empty."""

    path: Path
    text: str  # what is said
    turns: tuple[Turn, ...] = ()  # who speaks when
    texts: tuple[tuple[str, str], ...] = ()  # speaker and what they say, in order of time
    words: tuple[Word, ...] = ()  # with their true times

    @property
    def name(self) -> str:
        """The recording, for people."""
        return self.path.name

    def reference_json(self, *, with_speakers: bool = True) -> dict[str, Any]:
        """Return what is known as JSON, for the process that scores.

        Without speakers where no side was asked for them: to find none would be wrong in all.
        """
        turns, texts = (self.turns, self.texts) if with_speakers else ((), ())
        return {
            "text": self.text,
            "turns": [[turn.start, turn.end, turn.speaker] for turn in turns],
            "texts": [list(each) for each in texts],
            "words": [[word.word, word.start, word.end] for word in self.words],
        }


def reference_texts(directory: Path) -> Mapping[str, str]:
    """Return the texts of a directory by their files' stems. Raises InvalidOption."""
    texts, path = dict[str, str](), directory
    try:
        for path in sorted(directory.iterdir()):
            if path.suffix == _TEXT and path.is_file():
                texts[path.stem] = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidOption(f"{path} cannot be read: {reason}.", hint=_HINT) from error
    return texts


def labelled_files(directory: Path) -> tuple[LabelledFile, ...]:
    """Return the labelled recordings of a directory, by name; pass over files without a text.

    Raises InvalidOption if there are none, if two files have one text, if nothing is said, or if
    what is known of one cannot be read.
    """
    texts = reference_texts(directory)
    found = []
    for path in sorted(directory.iterdir()):
        if path.suffix in _WRITTEN or not path.is_file():
            continue
        spoken = read_stm(stm) if (stm := path.with_suffix(_SPOKEN)).is_file() else ()
        text = texts.get(path.stem, " ".join(said for _, said in spoken) if spoken else None)
        if text is not None:
            words, turns = path.with_suffix(_WORDS), path.with_suffix(_TURNS)
            found.append(
                LabelledFile(
                    path,
                    text,
                    _turns(turns) if turns.is_file() else (),
                    spoken,
                    read_word_times(words) if words.is_file() else (),
                )
            )
    stems = [file.path.stem for file in found]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InvalidOption(f"{twice[0]}.txt is the text of several files.", hint=_HINT)
    if not found:
        raise InvalidOption(f"{directory} has no recording with a text.", hint=_HINT)
    if not any(file.text.strip() for file in found):
        raise InvalidOption(f"All texts of {directory} are empty.", hint=_HINT)
    return tuple(found)


def _turns(path: Path) -> tuple[Turn, ...]:
    """Return the turns of a recording's own file, which may name any file inside."""
    turns = [turn for found in read_rttm(path).values() for turn in found]
    return tuple(sorted(turns, key=lambda turn: turn.start))
