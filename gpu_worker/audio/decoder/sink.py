"""Write decoded samples to files of PCM.

Memory is bounded: at most the next MiB of each file is kept. Audio that is too long is an error,
unless only its beginning is asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.mixing import Mixer
from gpu_worker.audio.decoder.sandbox import allow_cpu_seconds
from gpu_worker.errors import AudioOutOfBounds
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE

_WRITE_BYTES = 1 << 20
_ALLOWANCE_SAMPLES = 60 * SAMPLE_RATE  # processor time is granted anew after each of these


class EnoughAudio(Exception):
    """The beginning that was asked for is written; no fault."""


@dataclass(slots=True)
class Output:
    """Writes one file of PCM."""

    pcm: int
    pending: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Add samples; write to the file after each MiB. Raises OSError."""
        self.pending += data
        if len(self.pending) >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write all samples that are pending. Raises OSError."""
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
    first_seconds: float | None = None  # of the file, which are all that is wanted; None: the whole

    @property
    def seconds(self) -> float:
        """Length of what was written so far."""
        return self.samples / SAMPLE_RATE

    @property
    def outputs(self) -> list[Output]:
        """The files that are written to, one for each of the mixer's outputs."""
        return self.files[: self.mixer.outputs]

    def write(self, data: bytes) -> None:
        """Write samples of all outputs, interleaved s16.

        Raises AudioOutOfBounds, EnoughAudio, OSError.
        """
        self._lead()
        count = self.mixer.outputs
        if count == 1:
            self._write([data])
        else:
            samples = memoryview(data).cast("h")
            self._write([samples[output::count].tobytes() for output in range(count)])

    def write_silence(self, seconds: float) -> tuple[float, float]:
        """Write so many seconds of silence to all outputs; return the span of time that they fill.

        So later times stay those of the file's own clock. Raises as `write`.
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
        is_enough = False
        if self.first_seconds is not None:
            left = max(0, round(self.first_seconds * SAMPLE_RATE) - self.samples) * SAMPLE_BYTES
            is_enough = len(parts[0]) >= left
            parts = [part[:left] for part in parts]
        self.samples += len(parts[0]) // SAMPLE_BYTES
        check_length(self.seconds, len(parts), self.limits)
        for output, part in zip(self.outputs, parts, strict=True):
            output.write(part)
        if is_enough:
            raise EnoughAudio
        if self.samples >= self.granted:
            self.granted = self.samples + _ALLOWANCE_SAMPLES
            hours = self.granted / SAMPLE_RATE / 3600
            earned = hours * self.limits.cpu_seconds_per_audio_hour
            allow_cpu_seconds(self.limits.cpu_seconds + earned)


def check_length(seconds: float, outputs: int, limits: AudioLimits) -> None:
    """Raise AudioOutOfBounds if so many outputs of this length are more than is accepted."""
    hours = limits.max_seconds / 3600
    if seconds > limits.max_seconds:
        raise AudioOutOfBounds(f"The audio is longer than {hours:g} hours.")
    if seconds * outputs > limits.max_seconds:
        raise AudioOutOfBounds(
            f"The {outputs} channels, which are kept apart, are together longer than {hours:g} "
            "hours."
        )
    if seconds * outputs * SAMPLE_RATE * SAMPLE_BYTES > limits.max_output_bytes:
        raise AudioOutOfBounds(
            f"The decoded audio takes more than {limits.max_output_bytes} bytes."
        )
