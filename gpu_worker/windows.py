"""Packing speech into windows: the stretches of audio that a model hears at once.

A window is a contiguous piece of audio, so times inside it need no map. The
longest window is a property of the model. Pure: samples in, samples out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpu_worker.speech import SpeechSpan


@dataclass(frozen=True, slots=True)
class Window:
    """Samples `start` to `end` of a chunk's audio, and the speech in them."""

    start: int
    end: int
    speech: tuple[SpeechSpan, ...]


def pack_windows(spans: Sequence[SpeechSpan], max_samples: int) -> tuple[Window, ...]:
    """Join neighbouring spans into windows of at most `max_samples`.

    A span that is longer by itself is cut into equal parts; `speech_spans` is asked
    for spans that fit, so this happens only to callers that bring their own.
    """
    windows: list[Window] = []
    for span in spans:
        for piece in _fitting(span, max_samples):
            if windows and piece.end - windows[-1].start <= max_samples:
                last = windows[-1]
                windows[-1] = Window(last.start, piece.end, (*last.speech, piece))
            else:
                windows.append(Window(piece.start, piece.end, (piece,)))
    return tuple(windows)


def _fitting(span: SpeechSpan, max_samples: int) -> tuple[SpeechSpan, ...]:
    length = span.end - span.start
    parts = -(-length // max_samples)
    edges = [span.start + length * part // parts for part in range(parts + 1)] if parts else []
    return tuple(SpeechSpan(a, b) for a, b in pairwise(edges))
