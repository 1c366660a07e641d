"""Cut a transcript into cues: the pieces that are shown on a screen one after another.

The options are those of openai/whisper and whisperX and mean the same. Cues together hold
the transcript's text, but for white space at the cuts. Text is cleaned here, so that
no word can be read as a time line or a second cue, and times are clamped, so that every cue
ends after it starts and none starts before the one it follows. `gpu_worker/assembly/formats.py`
writes cues as files.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.profiled_cues import profiled_cues
from gpu_worker.assembly.shown_words import (
    ShownWord,
    clean,
    milliseconds,
    shown_speaker,
    shown_words,
    visible_characters,
)
from gpu_worker.assembly.subtitle_profiles import checked_frame_rate, profile_named
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Transcript

__all__ = ["Cue", "Prefix", "SubtitleOptions", "cues", "segment_cues"]

MOST_HIGHLIGHTED = 2_000  # characters of a cue that is written again for each of its words
LONG_PAUSE_MS = 3_000  # between the starts of two words; openai/whisper breaks a cue there

Prefix = Callable[[str | None], str]  # what a format writes before the text of a speaker's cue


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """The limits of cues; None leaves one cue a segment on one line.

    A character is what a reader takes for one: a grapheme cluster, of one or more code points.
    A wide one, as in Chinese, counts once, as with openai/whisper's option.
    Lines are cut between words (`gpu_worker/words.py`): in scripts without spaces between any
    two clusters. Raises `InvalidOption` for a number under 1.
    """

    max_line_width: int | None = None  # characters; a longer word gets a line of its own
    max_line_count: int | None = None  # with a width given, cues ignore segments
    max_words_per_line: int | None = None  # a cue; no effect when both of the above are given
    highlight_words: bool = False  # a cue a word, underlined as it is spoken
    profile: str | None = None  # all limits of a broadcaster at once (subtitle_profiles.py)
    frame_rate: float | None = None  # of the video, for a profile; None: the profile's

    def __post_init__(self) -> None:
        for field in fields(self)[:3]:
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise InvalidOption(
                    f"{field.name} is {value}, but must be at least 1.",
                    hint=f"Leave {field.name} out to have no limit.",
                )
        self._check_profile()

    def _check_profile(self) -> None:
        if self.profile is None:
            if self.frame_rate is not None:
                raise InvalidOption("frame_rate needs a profile.", hint="Leave frame_rate out.")
            return
        checked_frame_rate(profile_named(self.profile), self.frame_rate)
        limits = (self.max_line_width, self.max_line_count, self.max_words_per_line)
        if self.highlight_words or any(limit is not None for limit in limits):
            raise InvalidOption(
                "A profile sets all limits of subtitles itself.",
                hint="Leave out max_line_width, max_line_count, max_words_per_line and "
                "highlight_words, or the profile.",
            )

    @property
    def keeps_segments(self) -> bool:
        """Whether a cue ends where its segment does."""
        return self.max_line_width is None or self.max_line_count is None

    @property
    def cuts(self) -> bool:
        """Whether any option asks for other cues than one a segment."""
        return self != SubtitleOptions()


def cues(
    transcript: Transcript,
    options: SubtitleOptions | None = None,
    prefix: Prefix = lambda speaker: "",
) -> Iterator[Cue]:
    """Yield the transcript's cues in order; segments without text have none.

    The prefix is not in a cue's text, but its length is taken from the first line's width. Cues of
    a profile have none: who speaks would take the time and the room of what is said.
    """
    options = options or SubtitleOptions()
    if options.profile is not None:
        yield from profiled_cues(transcript, profile_named(options.profile), options.frame_rate)
        return
    drafts = _cut_cues(transcript, options, prefix) if options.cuts else segment_cues(transcript)
    earliest = 0
    for cue in drafts:
        start = max(cue.start_ms, earliest)
        yield replace(cue, start_ms=start, end_ms=max(cue.end_ms, start + 1))
        earliest = start


def segment_cues(transcript: Transcript) -> Iterator[Cue]:
    """Yield one cue for each segment that has text, with the segment's own times."""
    earliest = 0
    for segment in transcript.segments:
        if text := clean(segment.text):
            start = max(milliseconds(segment.start), earliest)
            end = max(milliseconds(segment.end), start + 1)
            yield Cue(start, end, text, shown_speaker(segment), language=segment.language)
            earliest = start


def _cut_cues(transcript: Transcript, options: SubtitleOptions, prefix: Prefix) -> Iterator[Cue]:
    width, count = options.max_line_width or math.inf, options.max_line_count or sys.maxsize
    for run in _runs(transcript, options):
        lines = _lines(run, width, count, visible_characters(prefix(run[0].speaker)))
        for first in range(0, len(lines), count):
            shown = lines[first : first + count]
            yield from _highlighted(shown) if options.highlight_words else [_cue(shown)]


def _runs(transcript: Transcript, options: SubtitleOptions) -> Iterator[list[ShownWord]]:
    """Yield the words in runs that no cue crosses."""
    segments = shown_words(transcript.segments)
    if not options.keeps_segments:
        yield from _between_pauses([word for words in segments for word in words])
        return
    for words in segments:
        count = options.max_words_per_line or len(words)
        for first in range(0, len(words), count):
            yield words[first : first + count]


def _between_pauses(words: list[ShownWord]) -> Iterator[list[ShownWord]]:
    run = words[:1]
    for previous, word in pairwise(words):
        long_pause = word.start_ms - previous.start_ms > LONG_PAUSE_MS
        if long_pause or word.speaker != previous.speaker:
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _lines(run: list[ShownWord], width: float, count: int, indent: int) -> list[list[ShownWord]]:
    """Cut a run into lines of at most `width` characters.

    The first of every `count` lines is shorter by `indent` characters.
    """
    lines: list[list[ShownWord]] = []
    room = 0.0
    for word in run:
        length = visible_characters(word.text)
        if lines and length + word.spaced <= room:
            lines[-1].append(word)
            room -= length + word.spaced
        else:
            room = width - length - (0 if len(lines) % count else indent)
            lines.append([word])
    return lines


def _text(lines: list[list[ShownWord]]) -> tuple[str, list[tuple[int, int]]]:
    """Join lines to one text, and return it with the first character and the end of each word."""
    text, marks = "", []
    for line in lines:
        for index, word in enumerate(line):
            if text:
                text += "\n" if index == 0 else " " * word.spaced
            marks.append((len(text), len(text) + len(word.text)))
            text += word.text
    return text, marks


def _cue(lines: list[list[ShownWord]]) -> Cue:
    first, last = lines[0][0], lines[-1][-1]
    return Cue(first.start_ms, last.end_ms, _text(lines)[0], first.speaker)


def _highlighted(lines: list[list[ShownWord]]) -> Iterator[Cue]:
    """Yield a cue for each word while it is spoken, and one for each gap between words.

    Raises InvalidOption for more than MOST_HIGHLIGHTED characters.
    """
    text, marks = _text(lines)
    if len(text) > MOST_HIGHLIGHTED:
        raise InvalidOption(
            f"A cue has {len(text)} characters, more than the {MOST_HIGHLIGHTED} of "
            "highlight_words.",
            hint="Give a smaller max_line_width and max_line_count.",
        )
    shown_until = lines[0][0].start_ms
    for word, mark in zip(chain.from_iterable(lines), marks, strict=True):
        start = max(word.start_ms, shown_until)
        if start > shown_until:
            yield Cue(shown_until, start, text, word.speaker)
        shown_until = max(word.end_ms, start + 1)
        yield Cue(start, shown_until, text, word.speaker, mark)
