"""Record what is wrong with a file while it is decoded, and make warnings of it.

Pure bookkeeping in seconds; it uses no media library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gpu_worker.transcript import TranscriptWarning

_GAP_SECONDS = 0.5  # a shorter step in the file's clock is no gap; nearer damage is one stretch
_LONGEST_GAP_SECONDS = 600.0  # a longer step is taken for a clock that was set anew
_SHORT_SECONDS, _SHORT_SHARE = 0.5, 0.001  # missing less than this is rounding
_NOTED_SECONDS = 1.0  # of channels that cancel; less is chance
_MOST_NOTICES = 20  # of one kind

_Spans = list[tuple[float, float]]


@dataclass(slots=True)
class Damage:
    """The faults of one file, recorded packet by packet; all times in seconds of the output."""

    broken: _Spans = field(default_factory=list)  # could not be decoded
    gaps: _Spans = field(default_factory=list)  # were never in the file, by its own clock
    closed_seconds: float = 0.0  # steps of the clock that were not followed
    cut: bool = False  # the container could not be read to its end
    late_seconds: float = 0.0  # by which the audio would begin after a day, and so was not moved
    opposite: tuple[float, float] | None = None  # channels would cancel, from the first to the last
    opposite_seconds: float = 0.0  # in all
    _clock: float | None = None  # where the next frame should begin, by the file's own clock

    def add_broken(self, start: float, end: float) -> None:
        """Record that a packet was replaced by silence from `start` to `end`."""
        _add(self.broken, start, end)
        if self._clock is not None:
            self._clock += end - start

    def add_pause(self, start: float, end: float) -> None:
        """Record that a packet that holds a pause, and no fault, was written as silence."""
        if self._clock is not None:
            self._clock += end - start

    def add_opposite(self, start: float, end: float) -> None:
        """Record that a channel was inverted, since it would have cancelled others."""
        self.opposite = (self.opposite[0] if self.opposite else start, end)
        self.opposite_seconds += end - start

    def add_gap(self, start: float, end: float) -> None:
        """Record that a gap was filled with silence; directly behind damage it is part of that."""
        _add(self.broken if _touches(self.broken, start) else self.gaps, start, end)

    def gap_before(self, time: float, seconds: float) -> float:
        """Return the seconds of silence due before a frame of `seconds` that is heard at `time`.

        `time` is by the file's own clock.
        """
        step = 0.0 if self._clock is None else time - self._clock
        self._clock = time + seconds
        if step > _LONGEST_GAP_SECONDS:
            self.closed_seconds += step
        return step if _GAP_SECONDS < step <= _LONGEST_GAP_SECONDS else 0.0

    def warnings(self, decoded: float, declared: float | None) -> tuple[TranscriptWarning, ...]:
        """Return all warnings, for a file of which `decoded` of `declared` seconds were decoded."""
        return (
            *_span_warnings("decode_errors", "Damaged audio was replaced by silence.", self.broken),
            *_span_warnings(
                "timestamp_gaps", "The file has a gap here, heard as silence.", self.gaps
            ),
            *self._closed_notices(),
            *self._opposite_notices(decoded),
            *self._cut_notices(decoded, declared),
        )

    def _closed_notices(self) -> Iterator[TranscriptWarning]:
        if self.closed_seconds:
            yield TranscriptWarning(
                "timestamp_gaps",
                f"The file's clock jumps ahead by {self.closed_seconds:.0f} s. That was not "
                "followed, so the times after it are earlier than a player shows.",
            )

        if self.late_seconds:
            yield TranscriptWarning(
                "timestamp_gaps",
                f"By the file's clock the audio begins {self.late_seconds:.0f} s after the rest. "
                "That was not followed: times are from the start of the audio.",
            )

    def _opposite_notices(self, decoded: float) -> Iterator[TranscriptWarning]:
        if self.opposite and self.opposite_seconds >= min(_NOTED_SECONDS, decoded / 2):
            yield TranscriptWarning(
                "opposite_channels",
                "Channels of opposite polarity cancel each other here; one was turned round "
                "before they were mixed.",
                *self.opposite,
            )

    def _cut_notices(self, decoded: float, declared: float | None) -> Iterator[TranscriptWarning]:
        missing = 0.0 if declared is None else declared - decoded - self.closed_seconds
        if declared is not None and missing > max(_SHORT_SECONDS, declared * _SHORT_SHARE):
            yield TranscriptWarning(
                "truncated_audio",
                f"The file declares {declared:.1f} s of audio but only {decoded:.1f} s could be "
                "decoded; it was probably cut off.",
                decoded,
                declared,
            )
        elif self.cut:
            message = "The file cannot be read on from here; it was probably cut off."
            yield TranscriptWarning("truncated_audio", message, decoded)


def _touches(spans: _Spans, start: float) -> bool:
    return bool(spans) and start - spans[-1][1] < _GAP_SECONDS


def _add(spans: _Spans, start: float, end: float) -> None:
    """Append a span, or join it to the last one if it is less than 0.5 s behind it."""
    spans.append((spans.pop()[0] if _touches(spans, start) else start, end))


def _span_warnings(code: str, message: str, spans: _Spans) -> Iterator[TranscriptWarning]:
    for start, end in spans[:_MOST_NOTICES]:
        yield TranscriptWarning(code, message, start, end)
    more = spans[_MOST_NOTICES:]
    if more:
        yield TranscriptWarning(
            code, f"{message} {len(more)} more such stretches.", more[0][0], more[-1][1]
        )
