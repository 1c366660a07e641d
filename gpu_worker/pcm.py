"""PCM as the cluster stores it, and spans of it. Without numpy, for the decoder's child.

PCM is mono, 16,000 samples a second, each a signed 16-bit little-endian number. A position is a
number of samples, never of bytes or seconds, so that nothing is rounded before it is published.
"""

from __future__ import annotations

from typing import NamedTuple

SAMPLE_RATE = 16_000  # samples per second of every array and PCM artifact
SAMPLE_BYTES = 2


class Span(NamedTuple):
    """Samples from `start` up to, and without, `end`; JSON holds it as a list of the two."""

    start: int
    end: int

    @property
    def samples(self) -> int:
        """The span's length in samples."""
        return self.end - self.start

    @property
    def seconds(self) -> float:
        """The span's length in seconds."""
        return self.samples / SAMPLE_RATE

    def moved(self, samples: int) -> Span:
        """Return the span with `samples` added to its start and its end."""
        return Span(self.start + samples, self.end + samples)
