"""Join channels that were transcribed apart into one transcript; each channel is a speaker.

In a telephone call the microphone of each side also records the other, more quietly and a moment
later. So words that another channel has at the same time, and louder, are an echo: they are
written once, for the louder channel. Pure; of the audio it uses only the measured levels.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import median

from gpu_worker.audio.levels import LevelTrack
from gpu_worker.heard import HeardWindow
from gpu_worker.transcript import Segment, Turn
from gpu_worker.transcription.alternatives import with_own_alternatives
from gpu_worker.transcription.lines import cut_segment
from gpu_worker.words import space_between

ECHO_SECONDS = 0.3  # between the starts of a word and of its echo, at most
ECHO_DB = 6  # an echo is quieter by this; two people who say the same seldom differ so much
LONE_ECHO_DB = 10  # for a single word, which two people say at once more often than a run
SURE_ECHOES = 5  # echoes that are enough to know how loud echoes are
MISHEARD_DB = 4  # misheard echoes are louder than the median echo by this at most
PAUSE_SECONDS = 0.5  # left by echoes inside a line: the line is cut there
TURN_GAP_SECONDS = 0.5  # segments with a smaller gap are one turn
_UNHEARD = frozenset("PSZC")  # Unicode's punctuation, symbols, separators, control


@dataclass(frozen=True, slots=True)
class Conversation:
    """The segments and turns of all channels, by time."""

    segments: tuple[Segment, ...]  # by their starts; each has a speaker
    turns: tuple[Turn, ...]


def join_channels(channels: Mapping[int, Iterable[HeardWindow]]) -> Conversation:
    """Join all channels' segments, without echoes, by time; channel 0 is SPEAKER_00, and so on.

    `channels` has each channel's windows in order. A word is an echo if another channel says
    the same word within ECHO_SECONDS, louder by ECHO_DB, or by LONE_ECHO_DB if neither of its
    neighbours is such an echo too. Echoes are often misheard: where SURE_ECHOES of them show
    how loud they are, other words too are echoes while the other channel says something and
    this one is no louder than its echoes, and quieter by ECHO_DB. A segment without words is
    compared as a whole.
    """
    heard = {number: _Channel.of(windows) for number, windows in sorted(channels.items())}
    segments: list[tuple[float, int, Segment]] = []
    turns: list[Turn] = []
    for number, channel in heard.items():
        others = [other for other in heard.values() if other is not channel]
        echoes = {place for other in others for place in _echoes(channel, other)}
        own = _without(channel.segments, echoes, channel_speaker(number))
        segments += [(segment.start, number, segment) for segment in own]
        turns += _turns(own)
    segments.sort(key=lambda item: item[:2])
    turns.sort(key=lambda turn: (turn.start, turn.speaker))
    return Conversation(tuple(segment for _, _, segment in segments), tuple(turns))


def channel_speaker(channel: int) -> str:
    """Return the speaker's name of a channel, counted from 0."""
    return f"SPEAKER_{channel:02d}"


@dataclass(frozen=True, slots=True)
class _Saying:
    """The unit of comparison: a word, or a segment whose words are not known."""

    sound: tuple[str, ...]  # as heard: without case and punctuation; a word has one part
    start: float
    end: float

    @property
    def reach(self) -> float:
        """Seconds between the starts of an echo and its origin, at most.

        For a segment half its length, so that both overlap by half at least.
        """
        return ECHO_SECONDS if len(self.sound) == 1 else max(ECHO_SECONDS, self.length / 2)

    @property
    def length(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class _Channel:
    segments: list[Segment]
    sayings: list[_Saying]  # of all segments, in their order
    places: dict[tuple[str, ...], list[int]]  # where in `sayings` a sound is, by their starts
    starts: dict[tuple[str, ...], list[float]]
    begins: list[float]  # of all sayings, sorted
    ends: list[float]  # of all that have begun before, the last
    track: LevelTrack

    @classmethod
    def of(cls, windows: Iterable[HeardWindow]) -> _Channel:
        own = list(windows)
        segments = [segment for window in own for segment in window.segments]
        sayings = [saying for segment in segments for saying in _sayings(segment)]
        places: dict[tuple[str, ...], list[int]] = {}
        for place in sorted(range(len(sayings)), key=lambda place: sayings[place].start):
            places.setdefault(sayings[place].sound, []).append(place)
        starts = {
            sound: [sayings[place].start for place in found] for sound, found in places.items()
        }
        begins = sorted(saying.start for saying in sayings)
        in_order = sorted(sayings, key=lambda saying: saying.start)
        ends = list(accumulate((saying.end for saying in in_order), max))
        spans = [item for one in own for item in zip(one.spans, one.levels, strict=False)]
        return cls(segments, sayings, places, starts, begins, ends, LevelTrack.of(spans))

    def speaks(self, saying: _Saying) -> bool:
        """Return whether this channel has any words at the time of `saying`."""
        place = bisect_left(self.begins, saying.end) - 1
        return place >= 0 and self.ends[place] > saying.start - ECHO_SECONDS

    def nearest(self, saying: _Saying, taken: set[int]) -> int | None:
        """Return the place in `sayings` of the same sound at the same time; None if there is none.

        Places in `taken` do not count.
        """
        starts = self.starts.get(saying.sound, [])
        within = range(
            bisect_left(starts, saying.start - saying.reach),
            bisect_right(starts, saying.start + saying.reach),
        )
        free = (place for i in within if (place := self.places[saying.sound][i]) not in taken)
        return min(free, key=lambda at: abs(self.sayings[at].start - saying.start), default=None)


def _sayings(segment: Segment) -> list[_Saying]:
    if not segment.words:
        return [_Saying(tuple(map(_sound, segment.text.split())), segment.start, segment.end)]
    return [_Saying((_sound(word.word),), word.start, word.end) for word in segment.words]


def _sound(word: str) -> str:
    """Return a word without case and punctuation; marks stay, they are vowels in many scripts."""
    plain = unicodedata.normalize("NFKC", word).casefold()
    heard = "".join(sign for sign in plain if unicodedata.category(sign)[0] not in _UNHEARD)
    return heard or plain


def _echoes(channel: _Channel, other: _Channel) -> Iterator[int]:
    """Yield the places in `channel.sayings` that are echoes of `other`."""
    margins = _twins(channel, other)
    yield from margins
    if len(margins) < SURE_ECHOES:
        return
    # The echo's path from one side to the other stays the same, so all echoes are about as loud.
    usual = max(ECHO_DB, median(margins.values()) - MISHEARD_DB)
    for place, saying in enumerate(channel.sayings):
        if place not in margins and other.speaks(saying):
            margin = _margin(channel, other, saying.start, saying.end)
            if margin is not None and margin >= usual:
                yield place


def _twins(channel: _Channel, other: _Channel) -> dict[int, int]:
    """Find the echoes in `channel` that have the same words in `other`.

    Return for each place in `channel.sayings` by how many dB it is quieter.
    """
    twins: dict[int, int] = {}
    margins: dict[int, int] = {}
    taken: set[int] = set()
    for place, saying in enumerate(channel.sayings):
        twin = other.nearest(saying, taken)
        if twin is None:
            continue
        same = other.sayings[twin]
        margin = _margin(channel, other, min(saying.start, same.start), max(saying.end, same.end))
        if margin is not None and margin >= ECHO_DB:
            twins[place], margins[place] = twin, margin
            taken.add(twin)
    return {
        place: margins[place]
        for place, twin in twins.items()
        if margins[place] >= LONE_ECHO_DB
        or len(channel.sayings[place].sound) > 1
        or twins.get(place - 1) == twin - 1
        or twins.get(place + 1) == twin + 1
    }


def _margin(channel: _Channel, other: _Channel, start: float, end: float) -> int | None:
    """Return by how many dB the other channel is louder; None if that was not measured."""
    quiet, loud = channel.track.level(start, end), other.track.level(start, end)
    return None if quiet is None or loud is None else loud - quiet


def _without(segments: Iterable[Segment], echoes: set[int], speaker: str) -> list[Segment]:
    """Return the segments without the echoes, with their speaker.

    `echoes` are places that count words, or segments that have none.
    """
    left: list[Segment] = []
    place = 0
    for segment in segments:
        count = len(segment.words) or 1
        dropped = {index for index in range(count) if place + index in echoes}
        place += count
        if len(dropped) < count:
            named = tuple(replace(word, speaker=speaker) for word in segment.words)
            whole = replace(segment, words=named, speaker=speaker)
            left += _rebuilt(whole, dropped) if dropped else [whole]
    return left


def _rebuilt(segment: Segment, dropped: set[int]) -> Iterator[Segment]:
    """Yield the segment without the dropped words, cut where they leave a long pause."""
    edges = sorted({0} | dropped | {index + 1 for index in dropped} - {len(segment.words)})
    parts = with_own_alternatives(cut_segment(segment, edges))
    runs = [run for first, run in zip(edges, parts, strict=True) if first not in dropped]
    line = _trimmed(runs[0])
    for run in map(_trimmed, runs[1:]):
        if run.start - line.end >= PAUSE_SECONDS:
            yield line
            line = run
        else:
            text = line.text + space_between(line.text, run.text) + run.text
            words = line.words + run.words  # whose alternatives say nothing of both together
            line = replace(line, end=run.end, text=text, words=words, alternatives=())
    yield line


def _trimmed(segment: Segment) -> Segment:
    """Set a segment's times to the start of its first word and the end of its last one."""
    return replace(segment, start=segment.words[0].start, end=segment.words[-1].end)


def _turns(segments: Sequence[Segment]) -> list[Turn]:
    """Make turns of one speaker's segments, in order."""
    turns: list[Turn] = []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if turns and segment.start - turns[-1].end < TURN_GAP_SECONDS:
            turns[-1] = replace(turns[-1], end=max(turns[-1].end, segment.end))
        else:
            turns.append(Turn(segment.start, segment.end, segment.speaker or ""))
    return turns
