"""Read the cues of a file of subtitles, SubRip or WebVTT, that any program wrote.

What is read is what a profile has limits for: times and lines. Styles and positions are left out.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.shown_words import clean
from gpu_worker.errors import InvalidOption

_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^}]*\}")


def read_cues(path: Path) -> list[Cue]:
    """Return the file's cues in its order. Raises `InvalidOption` for a file without any."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path} cannot be read: {error}.") from error
    found = cues_of(text)
    if not found:
        raise InvalidOption(f"{path} has no subtitles.", hint="Give a file in srt or vtt.")
    return found


def cues_of(text: str) -> list[Cue]:
    """Return the cues of the text of a file; a cue without text or without length is none."""
    is_vtt = text.lstrip("\ufeff").startswith("WEBVTT")
    cues = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        lines = block.split("\n")
        timed = next((n for n, line in enumerate(lines) if _TIMES.fullmatch(line)), None)
        if timed is None or not (match := _TIMES.fullmatch(lines[timed])):
            continue
        shown = [_TAG.sub("", line) for line in lines[timed + 1 :]]
        kept = [line for it in shown if (line := clean(unescape(it) if is_vtt else it))]
        start, end = _milliseconds(match.groups()[:4]), _milliseconds(match.groups()[4:])
        if kept and start < end:
            cues.append(Cue(start, end, "\n".join(kept)))
    return cues


def _milliseconds(clock: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, rest = (int(part or 0) for part in clock)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
