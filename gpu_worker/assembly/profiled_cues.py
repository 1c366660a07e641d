"""Make the cues that a subtitle profile asks for.

Cues begin with their first word, so what one cue costs depends on its own words and on the start
of the next word alone: the cheapest row of cues is found exactly, by dynamic programming over the
places to cut (as Knuth and Plass find the lines of a paragraph). A violated limit costs far more
than any bad cut. Where a profile permits it, a cue that is still too fast begins earlier, in the
silence before it. All times are counted in frames of the video. What no row of cues can keep to
(a person who says thirty characters a second) is left as it is, and
`gpu_worker/assembly/subtitle_report.py` finds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.frame_limits import EPSILON, FrameLimits
from gpu_worker.assembly.line_breaks import badness, broken_text, ends_sentence
from gpu_worker.assembly.shown_words import ShownWord, milliseconds, shown_words
from gpu_worker.assembly.subtitle_profiles import Profile, checked_frame_rate
from gpu_worker.transcript import Transcript
from gpu_worker.words import split_words

PAUSE_MS = 1_500  # no cue holds a longer one between two words
# What is to be avoided, beside a bad cut's 0 to 33.
VIOLATION, CUE, TWO_SENTENCES, SHORT_CUE = 200.0, 12.0, 20.0, 15.0
CUT_SPEECH = 4.0  # a frame of speech after the cue has gone
PAUSE_WITHIN = 15.0  # a second


class _Row:
    """Words of one speaker and one language without a long pause, and what their cues cost."""

    def __init__(self, words: Sequence[ShownWord], frames: FrameLimits, stop: float) -> None:
        """`stop` is the first frame of what follows the row; infinity if there is nothing."""
        self.words, self.frames, self.stop = words, frames, stop
        rate, limits = frames.rate, frames.limits
        self.first = [math.floor(word.start_ms * rate / 1000 + EPSILON) for word in words]
        self.last = [
            max(math.ceil(word.end_ms * rate / 1000 - EPSILON), start + 1)
            for word, start in zip(words, self.first, strict=True)
        ]
        self.spaces = [int(word.spaced) for word in words]
        widths = [limits.width(word.text) for word in words]
        self.space = limits.width(" ")
        spaced = (width + self.space * gap for width, gap in zip(widths, self.spaces, strict=True))
        self.widths = [0.0, *accumulate(spaced)]
        self.counts = [0, *accumulate(len(split_words(word.text)) for word in words)]
        self.sentences = [0, *accumulate(int(ends_sentence(word.text)) for word in words)]
        pauses = [b.start_ms - a.end_ms for a, b in pairwise(words)]
        self.pauses = [0.0, *accumulate(max(pause, 0) / 1000 for pause in pauses)]
        # How bad a cut behind each word is; a pause makes it better, and the last is free.
        self.badness = [
            max(badness(word) - 15 * min(max(pause, 0), 500) / 500, 0.0)
            for word, pause in zip(words, [*pauses, 0], strict=True)
        ]
        self.badness[-1] = 0.0
        self.reach = self._reach()

    def cuts(self) -> list[int]:
        """Return the edges of the cheapest cues: 0, …, the number of words."""
        count = len(self.words)
        cheapest, origin = [0.0] + [math.inf] * count, [0] * (count + 1)
        for start in range(count):
            for stop in range(start + 1, count + 1):
                if stop > start + 1 and not self._holds(start, stop):
                    break
                cost = cheapest[start] + self._cost(start, stop)
                if cost < cheapest[stop]:
                    cheapest[stop], origin[stop] = cost, start
        edges = [count]
        while edges[-1] > 0:
            edges.append(origin[edges[-1]])
        return edges[::-1]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first frame and the end of a cue of these words."""
        frames, first, spoken = self.frames, self.first[start], self.last[stop - 1]
        following = self._following(stop)
        linger = frames.at_most(frames.limits.linger_ms)
        _, aim = frames.reading(*self._size(start, stop))
        least = first + frames.shortest
        end: float = max(spoken, least, min(first + aim, spoken + linger))
        latest = following - frames.limits.gap_frames
        open_gap = frames.at_least(frames.limits.open_gap_ms)
        if following - end < max(open_gap, frames.limits.gap_frames):
            end = latest
        if end - first > frames.longest:  # end early, and leave the gap open
            end = min(first + frames.longest, max(least, following - open_gap))
        return first, int(max(end, first + 1))

    def early(self, start: int, stop: int, free: int) -> int:
        """Return the first frame of a cue that needs time before the sound; `free` is the first.

        A gap to the cue before stays as wide as it must be, or is closed.
        """
        (first, end), frames = self.span(start, stop), self.frames
        needed, _ = frames.reading(*self._size(start, stop))
        earliest = max(first - frames.at_most(frames.limits.lead_ms), free)
        if end - first >= needed or earliest >= first:
            return first
        wanted = max(end - needed, earliest)
        is_apart = wanted - free >= frames.at_least(frames.limits.open_gap_ms)
        if is_apart or wanted == free or free == 0:  # at 0 there is no cue before
            return wanted
        return free if earliest == free else first

    def _cost(self, start: int, stop: int) -> float:
        first, end = self.span(start, stop)
        frames, shown = self.frames, end - first
        width, words = self._size(start, stop)
        needed, _ = frames.reading(width, words)
        cost = CUE + self.badness[stop - 1]
        cost += TWO_SENTENCES * (self.sentences[stop - 1] - self.sentences[start])
        cost += PAUSE_WITHIN * (self.pauses[stop - 1] - self.pauses[start])
        cost += SHORT_CUE * max(0.0, 1 - width / frames.limits.line_width) ** 2
        if shown < needed:
            cost += VIOLATION * needed / shown
        if shown < frames.shortest:
            cost += VIOLATION * (2 - shown / frames.shortest)
        if shown > frames.longest:
            cost += VIOLATION
        if end > self._following(stop) - frames.limits.gap_frames:
            cost += 2 * VIOLATION
        # The gap takes some speech, and a start and an end in one frame are that frame's both.
        allowed = frames.limits.gap_frames + 1
        return cost + CUT_SPEECH * max(0, self.last[stop - 1] - allowed - end)

    def _following(self, stop: int) -> float:
        return self.first[stop] if stop < len(self.words) else self.stop

    def _size(self, start: int, stop: int) -> tuple[float, int]:
        """Return the characters and the words of a cue."""
        return self._width(start, stop), self.counts[stop] - self.counts[start]

    def _width(self, start: int, stop: int) -> float:
        return self.widths[stop] - self.widths[start] - self.space * self.spaces[start]

    def _holds(self, start: int, stop: int) -> bool:
        """Whether one cue has room and time for these words."""
        spoken = self.first[stop - 1] - self.first[start]
        return stop <= self.reach[start] and spoken < self.frames.longest

    def _reach(self) -> list[int]:
        """For each word: the end of the words that a cue from there on has lines for."""
        count, limit = len(self.words), self.frames.limits.line_width
        line, stop = [], 0
        for start in range(count):
            stop = max(stop, start + 1)
            while stop < count and self._width(start, stop + 1) <= limit:
                stop += 1
            line.append(stop)
        line.append(count)
        reach = list(range(count + 1))
        for _ in range(self.frames.limits.lines):
            reach = [line[place] for place in reach]
        return reach


def profiled_cues(
    transcript: Transcript, profile: Profile, frame_rate: float | None
) -> Iterator[Cue]:
    """Yield the cues in order; none begins before the one before it has ended.

    Raises `InvalidOption` for a frame rate that no video has.
    """
    rate = checked_frame_rate(profile, frame_rate)
    audio_end = math.ceil(milliseconds(transcript.duration) * rate / 1000)
    rows = list(_rows(transcript))
    free = 0
    for index, words in enumerate(rows):
        limits = profile.limits_of(words[0].language or transcript.language)
        stop = math.inf
        if index + 1 < len(rows):
            stop = math.floor(rows[index + 1][0].start_ms * rate / 1000 + EPSILON)
        row = _Row(words, FrameLimits(limits, rate, profile.ease), stop)
        for start, end in pairwise(row.cuts()):
            first, last = row.span(start, end)
            if last > audio_end >= row.last[end - 1]:
                last = audio_end
            first = max(row.early(start, end, free + limits.gap_frames * (free > 0)), free)
            free = max(last, first + 1)
            text = broken_text(words[start:end], limits)
            speaker, language = words[start].speaker, words[start].language
            yield Cue(_ms(first, rate), _ms(free, rate), text, speaker, language=language)


def _rows(transcript: Transcript) -> Iterator[list[ShownWord]]:
    row: list[ShownWord] = []
    for word in _in_order(chain.from_iterable(shown_words(transcript.segments))):
        if row and _parts(row[-1], word):
            yield row
            row = []
        row.append(word)
    if row:
        yield row


def _in_order(words: Iterator[ShownWord]) -> Iterator[ShownWord]:
    """Yield the words, none of which starts before the one before it."""
    earliest = 0
    for word in words:
        earliest = max(earliest, word.start_ms)
        yield ShownWord(
            word.text,
            earliest,
            max(word.end_ms, earliest + 1),
            word.spaced,
            word.speaker,
            word.language,
        )


def _parts(previous: ShownWord, word: ShownWord) -> bool:
    is_other = (word.speaker, word.language) != (previous.speaker, previous.language)
    return is_other or word.start_ms - previous.end_ms > PAUSE_MS


def _ms(frame: int, rate: float) -> int:
    return round(frame * 1000 / rate)
