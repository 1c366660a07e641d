"""The windows that a diarizer hears: where they lie, and which of them a shard holds.

The grid is global: window 0 begins with the file, the next one a step later, and the
last one is padded with silence if the file ends inside it (as `Inference.slide` of
pyannote.audio does). A shard is all windows that begin in its stretch of the file, so
the shards' windows together are the file's, for any length of a shard. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.pcm import SAMPLE_RATE

SHARD_SECONDS = 256.0
"""256 windows a second apart: a multiple of pyannote's batches of 32, which therefore hold the
same windows as in one process, and sums are rounded the same way, if no other shard is heard at the
same time."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a file's windows: all of one length, one step apart."""

    window_samples: int
    step_samples: int

    def window_count(self, samples: int) -> int:
        """Return the number of windows in a file of that many samples."""
        if samples <= self.window_samples:
            return min(samples, 1)
        return -(-(samples - self.window_samples) // self.step_samples) + 1

    def windows_of_shard(
        self, index: int, samples: int, shard_seconds: float = SHARD_SECONDS
    ) -> range:
        """Return the windows that begin inside a shard's stretch; the last shard may have none."""
        length, count = _shard_samples(shard_seconds), self.window_count(samples)
        first, last = (-(-edge * length // self.step_samples) for edge in (index, index + 1))
        return range(min(first, count), min(last, count))

    def samples_of(self, windows: range, samples: int) -> range:
        """Return the file's samples that lie in these windows.

        `samples` is the length of the file. A window that goes on behind its end is to be filled
        up with silence.
        """
        if not windows:
            return range(0)
        end = (windows.stop - 1) * self.step_samples + self.window_samples
        return range(windows.start * self.step_samples, min(end, samples))


def shard_count(samples: int, shard_seconds: float = SHARD_SECONDS) -> int:
    """Return the number of shards of a file of that many samples; it is the same for every grid."""
    return -(-samples // _shard_samples(shard_seconds))


def _shard_samples(shard_seconds: float) -> int:
    return max(1, round(shard_seconds * SAMPLE_RATE))
