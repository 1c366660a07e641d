"""The bounds of one decoding, and what it found: data that the child and its caller share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """The bounds of one decoding: a file that needs more is refused.

    `max_seconds` bounds the length of the audio, and of channels that are kept apart their
    lengths together; `max_output_bytes` bounds all PCM that is written. `memory_bytes` bounds the
    address space. Measured: 140 MB for PyAV with a small file, below 256 MB with numpy, 270 MB for
    the index of 24 hours of AAC in an mp4. Processor time is earned: `cpu_seconds` to begin with,
    and `cpu_seconds_per_audio_hour` for each hour written (measured: 2 for AAC, 230 for sixteen
    channels at 384 kHz).
    """

    max_seconds: float = 24 * 3600.0
    max_bytes: int = 8 * 1024**3
    max_output_bytes: int = 4 * 1024**3
    min_sample_rate: int = 4_000
    max_sample_rate: int = 384_000
    max_channels: int = 16
    memory_bytes: int = 1024**3
    cpu_seconds: float = 60.0
    cpu_seconds_per_audio_hour: float = 600.0
    wall_seconds: float = 2 * 3600.0


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """The facts of one decoded file: the source's format and the PCM that was written."""

    samples: int  # at 16 kHz
    sha256: str  # of the PCM bytes, in hex; of the first channel's if they were kept apart
    source_sample_rate: int
    channels: int  # in the source
    codec: str
    container: str
    declared_seconds: float | None = None  # what the file's headers promise; None: nothing
    warnings: tuple[TranscriptWarning, ...] = ()
    split: tuple[str, ...] = ()  # sha256 of each channel's PCM, if they were kept apart

    @property
    def seconds(self) -> float:
        """Length of the decoded audio in seconds."""
        return self.samples / SAMPLE_RATE

    @property
    def seconds_of_channels(self) -> float:
        """Length of all channels together, if they were kept apart; else of the audio."""
        return self.seconds * max(1, len(self.split))

    def to_json(self) -> dict[str, Any]:
        """Return the facts as artifacts hold them."""
        return asdict(self) | {"warnings": [asdict(warning) for warning in self.warnings]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DecodedAudio:
        """Make the facts from the result of `to_json`."""
        warnings = tuple(TranscriptWarning(**warning) for warning in data.get("warnings", ()))
        return cls(**{**data, "warnings": warnings, "split": tuple(data.get("split", ()))})
