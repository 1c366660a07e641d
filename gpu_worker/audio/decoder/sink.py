"""Write decoded samples to files of PCM, and hash them while they are written.

Memory is bounded: at most the next MiB of each file is kept. Audio that is too long is an error.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sandbox import allow_cpu_seconds
from gpu_worker.audio.decoding import AudioLimits
from gpu_worker.errors import AudioOutOfBounds
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE

_WRITE_BYTES = 1 << 20
_ALLOWANCE_SAMPLES = 60 * SAMPLE_RATE  # processor time is granted anew after each of these


@dataclass(slots=True)
class Output:
    """Hashes and writes one file of PCM."""

    pcm: int
    digest: Any = field(default_factory=hashlib.sha256)
    pending: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Add samples; write to the file after each MiB. Raises OSError."""
        self.pending += data
        if len(self.pending) >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hash and write all samples that are pending. Raises OSError."""
        self.digest.update(self.pending)
        view = memoryview(self.pending)
        while view:
            view = view[os.write(self.pcm, view) :]
        self.pending = bytearray()


@dataclass(slots=True)
class Sink:
    """Counts samples, raises at the bounds, and writes each output to its own file."""

    mixer: Mixer
    files: list[Output]  # as many as the mixer may have outputs
    limits: AudioLimits
    samples: int = 0
    lead_seconds: float = 0.0  # of silence before the first sample
    granted: int = 0  # samples up to which processor time was granted

    @property
    def seconds(self) -> float:
        """Length of what was written so far."""
        return self.samples / SAMPLE_RATE

    @property
    def outputs(self) -> list[Output]:
        """The files that are written to, one for each of the mixer's outputs."""
        return self.files[: self.mixer.outputs]

    def write(self, data: bytes) -> None:
        """Write samples of all outputs, interleaved s16. Raises AudioOutOfBounds, OSError."""
        self._lead()
        count = self.mixer.outputs
        if count == 1:
            self._write([data])
        else:
            samples = memoryview(data).cast("h")
            self._write([samples[output::count].tobytes() for output in range(count)])

    def write_silence(self, seconds: float) -> tuple[float, float]:
        """Write so many seconds of silence to all outputs; return the span of time that they fill.

        So later times stay those of the file's own clock. Raises AudioOutOfBounds, OSError.
        """
        self._lead()
        start, left = self.seconds, round(seconds * SAMPLE_RATE) * SAMPLE_BYTES
        while left > 0:
            piece = bytes(min(left, _WRITE_BYTES))
            self._write([piece] * self.mixer.outputs)
            left -= len(piece)
        return start, self.seconds

    def flush(self) -> None:
        """Write all pending samples of all outputs to their files. Raises OSError."""
        for output in self.outputs:
            output.flush()

    def _lead(self) -> None:
        """Write the silence before the first sample, now that the number of outputs is known."""
        if self.lead_seconds:
            seconds, self.lead_seconds = self.lead_seconds, 0.0
            self.write_silence(seconds)

    def _write(self, parts: list[bytes]) -> None:
        self.samples += len(parts[0]) // SAMPLE_BYTES
        if self.seconds > self.limits.max_seconds:
            raise too_long(self.limits)
        for output, part in zip(self.outputs, parts, strict=True):
            output.write(part)
        if self.samples >= self.granted:
            self.granted = self.samples + _ALLOWANCE_SAMPLES
            hours = self.granted / SAMPLE_RATE / 3600
            earned = hours * self.limits.cpu_seconds_per_audio_hour
            allow_cpu_seconds(self.limits.cpu_seconds + earned)


def too_long(limits: AudioLimits) -> AudioOutOfBounds:
    """Return the error for audio of more than `max_seconds`."""
    hours = limits.max_seconds / 3600
    return AudioOutOfBounds(f"The audio is longer than {hours:g} hours.")
