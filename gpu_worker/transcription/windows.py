"""Packing speech into windows: what a model hears at once.

The silence between two spans of speech is left out, so a window of thirty seconds
holds thirty seconds of speech and the fewest windows are decoded. A window knows the
way back: which sample of the chunk each of its own samples is. The longest window is
a property of the model. Pure: samples in, samples out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from gpu_worker.audio.speech import SpeechSpan
from gpu_worker.transcription.engines import Audio


@dataclass(frozen=True, slots=True)
class Window:
    """Spans of speech of a chunk, one behind the other."""

    spans: tuple[SpeechSpan, ...]  # at least one; in order, without overlap

    @property
    def samples(self) -> int:
        """Its length."""
        return sum(span.samples for span in self.spans)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each span begins inside the window."""
        return (0, *accumulate(span.samples for span in self.spans[:-1]))

    def part(self, first: int, end: int) -> Window | None:
        """The window from its own sample `first` up to `end`; None if nothing is between them."""
        pieces = (
            SpeechSpan(
                span.start + min(max(first - offset, 0), span.samples),
                span.start + min(max(end - offset, 0), span.samples),
            )
            for offset, span in zip(self.offsets, self.spans, strict=True)
        )
        spans = tuple(piece for piece in pieces if piece.samples)
        return Window(spans) if spans else None

    def cut(self, audio: Audio) -> Audio:
        """The window's samples out of the chunk's, shape (samples,)."""
        return np.concatenate([audio[span.start : span.end] for span in self.spans])


def pack_windows(spans: Sequence[SpeechSpan], max_samples: int) -> tuple[Window, ...]:
    """Join neighbouring spans into windows of at most `max_samples`.

    A span that is longer by itself is cut into equal parts; `speech_spans` is asked
    for spans that fit, so this happens only to callers that bring their own.
    """
    windows: list[Window] = []
    for span in spans:
        for piece in _fitting(span, max_samples):
            if windows and windows[-1].samples + piece.samples <= max_samples:
                windows[-1] = Window((*windows[-1].spans, piece))
            else:
                windows.append(Window((piece,)))
    return tuple(windows)


def _fitting(span: SpeechSpan, max_samples: int) -> tuple[SpeechSpan, ...]:
    parts = -(-span.samples // max_samples)
    edges = (
        [span.start + span.samples * part // parts for part in range(parts + 1)] if parts else []
    )
    return tuple(SpeechSpan(a, b) for a, b in pairwise(edges))
