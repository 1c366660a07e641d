"""Write a transcript as the text of a file: json, txt, srt, vtt, tsv or rttm.

Each writer is a pure function from a transcript to text. The text of a transcript is
not trusted: no word can add a cue, a row or a line to the file, and no word acts as
markup. Callers write the file.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import regex

from gpu_worker.assembly.subtitles import Cue, SubtitleOptions, cues, segment_cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Transcript, Turn, transcript_to_json

__all__ = ["FORMATS", "Format", "SubtitleOptions", "format_named", "render"]

# SRT has no escapes. Text that players take for markup is broken up by this invisible character.
# Of srt and vtt, which may repeat the text for each word: some 50 times that of 24 hours of speech.
MOST_CHARACTERS = 100_000_000
WORD_JOINER = "\u2060"
# The places for it, by what the players' own parsers look for. VLC (`subsdec.c`) takes `<` and a
# letter for a tag, also if it is never closed; FFmpeg (`htmlsubtitles.c`) `<3 …>` too. Both take
# `{\` and `{y:` for styles. libass, which draws what FFmpeg passes on, obeys each backslash
# within braces, and `\N`, `\n` and `\h` everywhere.
_MARKUP = regex.compile(
    r"(?<=<)(?=/?\ *[A-Za-z]|[0-9_/][^<>]*>)"
    r"|(?<=\{)(?=(?:\\|[^}]:)[^}]*\})"
    r"|(?<=\{[^}]*\\)(?=[^}]*\})"
    r"|(?<=\\)(?=[Nnh])"
)


@dataclass(frozen=True, slots=True)
class Format:
    """The name, the media type and the writer of one format."""

    name: str
    media_type: str  # as in a Content-Type header
    write: Callable[[Transcript, SubtitleOptions, str], str]  # the last is the audio's name

    @property
    def extension(self) -> str:
        """The end of a file's name, with its dot."""
        return f".{self.name}"


def render(
    transcript: Transcript,
    format: str,
    options: SubtitleOptions | None = None,
    file_id: str = "audio",
) -> str:
    """Return the transcript as the text of a file, always encodable as UTF-8.

    The options shape srt and vtt only; `file_id` is the audio's name in rttm. Raises
    `InvalidOption` for a format that is not in `FORMATS`.
    """
    return format_named(format).write(transcript, options or SubtitleOptions(), file_id)


def format_named(name: str) -> Format:
    """Return the format of that name. Raises `InvalidOption` if there is none."""
    if name not in FORMATS:
        raise InvalidOption(
            f"There is no transcript format {name!r}.", hint=f"Use one of: {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def _json(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    data = _finite(transcript_to_json(transcript))
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _txt(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    return "".join(f"{_prefix(cue.speaker)}{cue.text}\n" for cue in segment_cues(transcript))


def _tsv(transcript: Transcript, _: SubtitleOptions, __: str) -> str:
    rows = (f"{cue.start_ms}\t{cue.end_ms}\t{cue.text}\n" for cue in segment_cues(transcript))
    return "start\tend\ttext\n" + "".join(rows)


def _srt(transcript: Transcript, options: SubtitleOptions, _: str) -> str:
    return _bounded(
        f"{number}\n{_span(cue, ',')}\n{_marked(_inert(_prefixed(cue)), str)}\n\n"
        for number, cue in enumerate(cues(transcript, options, _prefix), start=1)
    )


def _vtt(transcript: Transcript, options: SubtitleOptions, _: str) -> str:
    return "WEBVTT\n\n" + _bounded(
        f"{_span(cue, '.')}\n{_voice(cue)}{_marked(cue, _escaped)}\n\n"
        for cue in cues(transcript, options)
    )


def _rttm(transcript: Transcript, _: SubtitleOptions, file_id: str) -> str:
    """Write NIST's Rich Transcription Time Marked: a line for each turn, ten fields."""
    turns = transcript.turns or [
        Turn(segment.start, segment.end, segment.speaker)
        for segment in transcript.segments
        if segment.speaker
    ]
    return "".join(
        f"SPEAKER {_field(file_id)} 1 {turn.start:.3f} {turn.end - turn.start:.3f} "
        f"<NA> <NA> {_field(turn.speaker)} <NA> <NA>\n"
        for turn in turns
        if math.isfinite(turn.start) and math.isfinite(turn.end) and turn.end > turn.start
    )


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format("json", "application/json", _json),
        "txt": Format("txt", "text/plain; charset=utf-8", _txt),
        "srt": Format("srt", "application/x-subrip; charset=utf-8", _srt),
        "vtt": Format("vtt", "text/vtt; charset=utf-8", _vtt),
        "tsv": Format("tsv", "text/tab-separated-values; charset=utf-8", _tsv),
        "rttm": Format("rttm", "text/plain; charset=utf-8", _rttm),
    }
)


def _bounded(pieces: Iterable[str]) -> str:
    """Join the cues. Raises InvalidOption once they have more than MOST_CHARACTERS."""
    kept, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_CHARACTERS:
            raise InvalidOption(
                f"With these options the subtitles have more than {MOST_CHARACTERS:,} characters.",
                hint="Give a smaller max_line_width and max_line_count, or no highlight_words.",
            )
        kept.append(piece)
    return "".join(kept)


def _span(cue: Cue, decimal_point: str) -> str:
    return f"{_clock(cue.start_ms, decimal_point)} --> {_clock(cue.end_ms, decimal_point)}"


def _clock(time_ms: int, decimal_point: str) -> str:
    seconds, thousandths = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_point}{thousandths:03d}"


def _prefix(speaker: str | None) -> str:
    return f"[{speaker}]: " if speaker else ""


def _prefixed(cue: Cue) -> Cue:
    """Return the cue with its speaker at the start of its text."""
    prefix = _prefix(cue.speaker)
    return _with_insertions(cue, [0], prefix) if prefix else cue


def _inert(cue: Cue) -> Cue:
    """Return the cue with nothing in its text that a player of SRT takes for markup."""
    places = [found.start() for found in _MARKUP.finditer(cue.text)]
    return _with_insertions(cue, places, WORD_JOINER) if places else cue


def _with_insertions(cue: Cue, places: list[int], inserted: str) -> Cue:
    """Insert a text at each place of the cue's text; its mark stays on the same word."""
    edges = [0, *places, len(cue.text)]
    text = inserted.join(cue.text[start:end] for start, end in pairwise(edges))
    if cue.mark is None:
        return replace(cue, text=text)
    start, end = (edge + len(inserted) * bisect_right(places, edge) for edge in cue.mark)
    return replace(cue, text=text, mark=(start, end))


def _voice(cue: Cue) -> str:
    return f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""


def _marked(cue: Cue, written: Callable[[str], str]) -> str:
    if cue.mark is None:
        return written(cue.text)
    start, end = cue.mark
    before, spoken, after = cue.text[:start], cue.text[start:end], cue.text[end:]
    return f"{written(before)}<u>{written(spoken)}</u>{written(after)}"


def _field(text: str) -> str:
    """Return the text as one field of a line whose fields are separated by white space."""
    name = re.sub(r"\s+", "_", text.encode("utf-8", "replace").decode("utf-8"))
    return name or "<NA>"


def _escaped(text: str) -> str:
    return escape(text, quote=False)


def _finite(value: Any) -> Any:
    """Replace every number that JSON cannot hold by None, also inside lists and dicts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
