"""Read what is known of a recording: who speaks when, who says what, and when each word is said.

NIST's RTTM and STM, and JSON of words with their times. Every reader raises InvalidOption for a
file that cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Turn, Word


def read_rttm(path: Path) -> dict[str, tuple[Turn, ...]]:
    """Return turns by file name, of RTTM: type file channel start duration … speaker …"""
    turns: dict[str, list[Turn]] = {}
    with _readable(path):
        for line in _lines(path):
            kind, file, _, start, seconds, _, _, speaker, *_ = line.split()
            if kind == "SPEAKER":
                begin = float(start)
                turns.setdefault(file, []).append(Turn(begin, begin + float(seconds), speaker))
    return {file: tuple(found) for file, found in turns.items()}


def read_stm(path: Path) -> tuple[tuple[str, str], ...]:
    """Return speaker and text of each line of STM: file channel speaker start end text."""
    with _readable(path):
        lines = [line.split(maxsplit=5) for line in _lines(path)]
    return tuple((line[2], line[5]) for line in lines if len(line) == 6)


def read_word_times(path: Path) -> tuple[Word, ...]:
    """Return words with their times, of any of three forms of JSON.

    A list of `{"word", "start", "end"}`; an object with such a list as `word_segments` or `words`;
    or pocketsphinx' alignment, whose `w` has begin, duration and word.
    """
    with _readable(path):
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict) and "w" in data:
            return without_silences((it["t"], it["b"], it["b"] + it["d"]) for it in data["w"])
        if isinstance(data, dict):
            data = data["word_segments"] if "word_segments" in data else data["words"]
        words = [(it["word"], float(it["start"]), float(it["end"])) for it in data]
    return tuple(Word(text, start, end, 1.0) for text, start, end in words)


def without_silences(entries: Iterable[tuple[str, float, float]]) -> tuple[Word, ...]:
    """Return an aligner's words with starts and ends in seconds.

    Leaves out silences (`<sil>`, `[NOISE]`, `++UH++`) and the marks of pronunciations (`to(3)`).
    """
    return tuple(
        Word(text.partition("(")[0], start, end, 1.0)
        for text, start, end in entries
        if not text.startswith(("<", "[", "+"))
    )


def _lines(path: Path) -> list[str]:
    """Return the lines that are neither empty nor comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith(";;")]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        raise InvalidOption(f"{path} cannot be read: {reason}.") from error
