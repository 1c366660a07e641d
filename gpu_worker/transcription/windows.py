"""Pack speech into windows, each of which a model decodes in one pass.

The silence between two spans of speech is left out, so a window of thirty seconds
holds thirty seconds of speech and the fewest windows are decoded. A window maps its own
samples back to those of the chunk, and times in the window back to times in the file. The
longest window is a property of the model. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import Word


@dataclass(frozen=True, slots=True)
class Window:
    """Spans of speech of a chunk, one behind the other."""

    spans: tuple[Span, ...]  # at least one; in order, without overlap
    language: str | None = None  # None: the job's only one

    @property
    def samples(self) -> int:
        """The window's length in samples."""
        return sum(span.samples for span in self.spans)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The sample of the window at which each span begins."""
        return (0, *accumulate(span.samples for span in self.spans[:-1]))

    def part(self, first: int, end: int) -> Window | None:
        """Return the part from the window's own sample `first` up to `end`; None if it is empty."""
        pieces = (
            Span(
                span.start + min(max(first - offset, 0), span.samples),
                span.start + min(max(end - offset, 0), span.samples),
            )
            for offset, span in zip(self.offsets, self.spans, strict=True)
        )
        spans = tuple(piece for piece in pieces if piece.samples)
        return replace(self, spans=spans) if spans else None

    def moved(self, samples: int) -> Window:
        """Return the window with `samples` added to the start and the end of all its spans."""
        return replace(self, spans=tuple(span.moved(samples) for span in self.spans))

    def cut(self, audio: Audio) -> Audio:
        """Cut the window's samples out of `audio`, in which its spans count; shape (samples,)."""
        return np.concatenate([audio[span.start : span.end] for span in self.spans])

    def place(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Move words from times in the window to times in the audio in which its spans count.

        Both are in seconds. Each word goes into the span of speech that it overlaps most.
        """
        stretches = [
            _Stretch(
                start=offset / SAMPLE_RATE,
                end=(offset + span.samples) / SAMPLE_RATE,
                shift=(span.start - offset) / SAMPLE_RATE,
            )
            for offset, span in zip(self.offsets, self.spans, strict=True)
        ]
        return tuple(_placed(word, stretches) for word in words)


def pack_windows(spans: Sequence[Span], max_samples: int) -> tuple[Window, ...]:
    """Join neighbouring spans into windows of at most `max_samples`.

    A span that is longer is cut into equal parts. Spans from `speech_spans` are short
    enough; only other callers' spans are cut.
    """
    windows: list[Window] = []
    for span in spans:
        for piece in _fitting(span, max_samples):
            if windows and windows[-1].samples + piece.samples <= max_samples:
                windows[-1] = Window((*windows[-1].spans, piece))
            else:
                windows.append(Window((piece,)))
    return tuple(windows)


def _fitting(span: Span, max_samples: int) -> tuple[Span, ...]:
    parts = -(-span.samples // max_samples)
    edges = (
        [span.start + span.samples * part // parts for part in range(parts + 1)] if parts else []
    )
    return tuple(Span(a, b) for a, b in pairwise(edges))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A span of speech inside a window; all in seconds."""

    start: float  # in the window
    end: float
    shift: float  # from the window's time to that of the audio in which its spans count


def _placed(word: Word, stretches: Sequence[_Stretch]) -> Word:
    best = max(stretches, key=lambda stretch: _overlap(word, stretch))
    start = min(max(word.start, best.start), best.end)
    end = max(start, min(word.end, best.end))
    return replace(word, start=start + best.shift, end=end + best.shift)


def _overlap(word: Word, stretch: _Stretch) -> float:
    """Return the seconds that word and stretch overlap; if they do not, minus their distance."""
    return min(word.end, stretch.end) - max(word.start, stretch.start)
