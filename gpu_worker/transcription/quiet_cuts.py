"""Cut speech into short pieces at quiet places, so that few words are cut in two. Pure."""

from __future__ import annotations

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE, Span

_QUIET_SAMPLES = SAMPLE_RATE // 10  # the quietest place is one of this length


def pieces(audio: Audio, span: Span, longest_seconds: float) -> list[Span]:
    """Cut a span by halves until no piece of it is longer than this.

    `audio` is what the span counts in.
    """
    if span.seconds <= longest_seconds:
        return [span]
    return [piece for half in halves(audio, span) for piece in pieces(audio, half, longest_seconds)]


def halves(audio: Audio, span: Span) -> tuple[Span, Span]:
    """Cut a span in two at the quietest place in its middle third."""
    first = span.start + span.samples // 3
    middle = audio[first : span.end - span.samples // 3]
    count = max(1, len(middle) // _QUIET_SAMPLES)
    length = len(middle) // count
    levels = np.square(middle[: count * length]).reshape(count, length).sum(axis=1)
    cut = first + int(levels.argmin()) * length + length // 2
    return Span(span.start, cut), Span(cut, span.end)
