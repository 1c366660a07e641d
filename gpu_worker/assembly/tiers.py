"""A transcript as tiers: rows of intervals with text, as annotation programs show them.

Within a tier no interval overlaps another: Praat and ELAN do not read a tier where one does.
An interval that begins too early is moved to the end of the one before it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gpu_worker.assembly.shown_words import clean, milliseconds, shown_speaker, shown_words
from gpu_worker.transcript import Segment, Transcript

SEGMENTS, WORDS = "segments", "words"
# What no XML 1.0 document can hold, escaped or not.
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Interval:
    """A text and its time; `start_ms < end_ms`."""

    start_ms: int
    end_ms: int
    text: str  # on one line, never empty


@dataclass(frozen=True, slots=True)
class Tier:
    """A named row of intervals in order."""

    name: str  # no other tier of the transcript has it
    intervals: tuple[Interval, ...]
    speaker: str | None = None


def xml_text(text: str) -> str:
    """Return the text without the characters that no XML document can hold."""
    return _NOT_IN_XML.sub("", text)


def tiers_and_turns(transcript: Transcript) -> tuple[Tier, ...]:
    """Return a tier of segments, one of words, and one of each speaker's turns.

    Without turns, a speaker's segments stand for them.
    """
    spans = [(turn.start, turn.end, clean(turn.speaker)) for turn in transcript.turns] or [
        (segment.start, segment.end, shown_speaker(segment) or "")
        for segment in transcript.segments
    ]
    by_speaker: dict[str, list[Interval]] = {}
    for start, end, speaker in sorted(spans, key=lambda span: milliseconds(span[0])):
        if speaker:
            span = Interval(milliseconds(start), milliseconds(end), speaker)
            by_speaker.setdefault(speaker, []).append(span)
    texts = _texts(transcript.segments, SEGMENTS, WORDS, None)
    turns = [Tier(name, _apart(spans), name) for name, spans in by_speaker.items()]
    return _named([*texts, *turns])


def tiers_by_speaker(transcript: Transcript) -> tuple[Tier, ...]:
    """Return for each speaker a tier of segments, with the speaker's name, and one of words."""
    by_speaker: dict[str | None, list[Segment]] = {}
    for segment in transcript.segments:
        by_speaker.setdefault(shown_speaker(segment), []).append(segment)
    pairs = (
        _texts(said, speaker or SEGMENTS, f"{speaker} {WORDS}" if speaker else WORDS, speaker)
        for speaker, said in by_speaker.items()
    )
    return _named(chain.from_iterable(pairs))


def _texts(
    segments: Sequence[Segment], lines: str, words: str, speaker: str | None
) -> tuple[Tier, Tier]:
    texts = (
        Interval(milliseconds(segment.start), milliseconds(segment.end), text)
        for segment in segments
        if (text := clean(segment.text))
    )
    spoken = (
        Interval(word.start_ms, word.end_ms, word.text)
        for word in chain.from_iterable(shown_words(segments))
    )
    return Tier(lines, _apart(texts), speaker), Tier(words, _apart(spoken), speaker)


def _apart(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    return tuple(_moved_apart(list(intervals)))


def _moved_apart(intervals: Sequence[Interval]) -> Iterator[Interval]:
    """Yield the intervals without overlaps: an end gives way to the next start, if it can."""
    free = 0
    for index, interval in enumerate(intervals):
        start, end = max(interval.start_ms, free), interval.end_ms
        if index + 1 < len(intervals) and intervals[index + 1].start_ms > start:
            end = min(end, intervals[index + 1].start_ms)
        free = max(end, start + 1)
        yield Interval(start, free, interval.text)


def _named(tiers: Iterable[Tier]) -> tuple[Tier, ...]:
    """Return the tiers that have intervals, each under a name of its own."""
    named: dict[str, Tier] = {}
    for tier in tiers:
        if tier.intervals:
            name, number = tier.name, 1
            while name in named:
                number += 1
                name = f"{tier.name} ({number})"
            named[name] = Tier(name, tier.intervals, tier.speaker)
    return tuple(named.values())
