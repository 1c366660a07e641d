"""Give every word and segment a speaker, from the turns of a diarization.

A word belongs to the speaker whose turns it overlaps most; where several speak at once, to the
one of the exclusive turns; outside all turns, to the speaker of the nearest one. A segment is cut
where its speaker changes. Pure; knows no diarizer and no audio.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise

from gpu_worker.transcript import Segment, Turn, Word
from gpu_worker.transcription.alternatives import with_own_alternatives
from gpu_worker.transcription.lines import cut_segment

STRAY_SECONDS = 0.25  # a shorter word does not make a change of speaker by itself …
STRAY_GAP_SECONDS = 0.2  # … unless there is such a pause beside it
_DIGITS = 6  # sums of times differ by less


def assign_speakers(
    segments: Sequence[Segment], turns: Sequence[Turn], exclusive: Sequence[Turn] = ()
) -> tuple[Segment, ...]:
    """Return the same words in the same order, in segments of one speaker each.

    A single short word between words of one other speaker, without a pause, is given to that
    speaker: a boundary that is off by a frame or two is likelier than such a turn. Without turns
    the segments are returned as they are.
    """
    everyone, one_at_a_time = _Spans.of(turns), _Spans.of(exclusive)
    if not everyone.starts and not one_at_a_time.starts:
        return tuple(segments)

    def speaker_of(start: float, end: float) -> str:
        return (
            one_at_a_time.loudest(start, end)
            or everyone.loudest(start, end)
            or (everyone if everyone.starts else one_at_a_time).nearest(start, end)
        )

    found: list[Segment] = []
    for segment in segments:
        if segment.words:
            names = [speaker_of(word.start, word.end) for word in segment.words]
            found.extend(_split(segment, _without_strays(segment.words, names)))
        else:
            found.append(replace(segment, speaker=speaker_of(segment.start, segment.end)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Stretches in which the same speakers are heard; in order, without overlap, no silence."""

    starts: list[float]
    ends: list[float]
    speakers: list[tuple[str, ...]]  # of each stretch; the one who began earlier comes first

    @classmethod
    def of(cls, turns: Iterable[Turn]) -> _Spans:
        """Cut the turns at all their starts and ends."""
        ordered = sorted((turn for turn in turns if turn.end > turn.start), key=lambda t: t.start)
        spans = cls([], [], [])
        open_turns: list[tuple[float, int]] = []  # by their ends; the number is their order
        active: dict[int, str] = {}
        at = 0.0
        for number, turn in enumerate(ordered):
            while open_turns and open_turns[0][0] <= turn.start:
                at = spans._close(open_turns, active, at)
            spans._add(at, turn.start, active)
            at = turn.start
            heappush(open_turns, (turn.end, number))
            active[number] = turn.speaker
        while open_turns:
            at = spans._close(open_turns, active, at)
        return spans

    def loudest(self, start: float, end: float) -> str | None:
        """Return the speaker who is heard longest between two times, or None if none is.

        Of several it is the one who begins first.
        """
        heard: dict[str, float] = {}
        for index in range(bisect_right(self.ends, start), bisect_left(self.starts, end)):
            overlap = min(end, self.ends[index]) - max(start, self.starts[index])
            for speaker in self.speakers[index]:
                heard[speaker] = heard.get(speaker, 0.0) + overlap
        return max(heard, key=lambda speaker: round(heard[speaker], _DIGITS), default=None)

    def nearest(self, start: float, end: float) -> str:
        """Return the speaker who is heard nearest to a stretch of silence.

        If the distance is the same on both sides, it is the speaker before it.
        """
        after = bisect_left(self.starts, end)
        if after == 0:
            return self.speakers[0][0]
        before = after - 1
        if after < len(self.starts):
            gap_before, gap_after = start - self.ends[before], self.starts[after] - end
            if round(gap_after, _DIGITS) < round(gap_before, _DIGITS):
                return self.speakers[after][0]
        return self.speakers[before][0]

    def _close(
        self, open_turns: list[tuple[float, int]], active: dict[int, str], at: float
    ) -> float:
        """End the open turn that ends first, and return its end in seconds."""
        end, number = heappop(open_turns)
        self._add(at, end, active)
        del active[number]
        return end

    def _add(self, start: float, end: float, active: dict[int, str]) -> None:
        if active and end > start:
            self.starts.append(start)
            self.ends.append(end)
            self.speakers.append(tuple(dict.fromkeys(active.values())))


def _without_strays(words: Sequence[Word], names: list[str]) -> list[str]:
    """Return the names, with each stray word's name replaced by its neighbours'."""
    kept = list(names)
    for index in range(1, len(words) - 1):
        before, word, after = words[index - 1 : index + 2]
        if (
            kept[index - 1] == kept[index + 1] != kept[index]
            and word.end - word.start < STRAY_SECONDS
            and word.start - before.end < STRAY_GAP_SECONDS
            and after.start - word.end < STRAY_GAP_SECONDS
        ):
            kept[index] = kept[index - 1]
    return kept


def _split(segment: Segment, names: Sequence[str]) -> list[Segment]:
    """Cut a segment into one for each run of words of the same speaker."""
    firsts = [0, *(index for index, (a, b) in enumerate(pairwise(names), 1) if a != b)]
    parts = with_own_alternatives(cut_segment(segment, firsts))
    return [
        replace(
            part,
            speaker=names[first],
            words=tuple(replace(word, speaker=names[first]) for word in part.words),
        )
        for part, first in zip(parts, firsts, strict=True)
    ]
