"""Write cues as SubRip (srt) and WebVTT (vtt). No word of a cue's text acts as markup. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace
from html import escape
from itertools import pairwise

import regex

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.subtitles import SubtitleOptions, cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Transcript

# Of srt and vtt, which may repeat the text for each word: some 50 times that of 24 hours of speech.
MOST_CHARACTERS = 100_000_000
# SRT has no escapes. Text that players take for markup is broken up by this invisible character.
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


def srt(transcript: Transcript, options: SubtitleOptions) -> str:
    """Return the text of a SubRip file. Raises InvalidOption for one that is too long."""
    shown = cues(transcript, options, speaker_prefix)
    if options.profile is None:
        shown = map(_prefixed, shown)
    return _bounded(
        f"{number}\n{_span(cue, ',')}\n{_marked(_inert(cue), str)}\n\n"
        for number, cue in enumerate(shown, start=1)
    )


def vtt(transcript: Transcript, options: SubtitleOptions) -> str:
    """Return the text of a WebVTT file. Raises InvalidOption for one that is too long."""
    return "WEBVTT\n\n" + _bounded(
        f"{_span(cue, '.')}\n{_voice(cue)}{_marked(cue, _escaped)}\n\n"
        for cue in cues(transcript, options)
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


def speaker_prefix(speaker: str | None) -> str:
    """Return what goes before the text of a speaker."""
    return f"[{speaker}]: " if speaker else ""


def _prefixed(cue: Cue) -> Cue:
    """Return the cue with its speaker at the start of its text."""
    prefix = speaker_prefix(cue.speaker)
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


def _escaped(text: str) -> str:
    return escape(text, quote=False)
