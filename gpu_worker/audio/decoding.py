"""Decode a media file to 16 kHz mono PCM, in a child process that the file may crash.

Decoding is the attack surface: the bytes come from strangers and the code that
reads them is C. So `gpu_worker.audio.decoder.program` reads the file in a process of its
own, with bounds on memory, processor time, output and wall time, and without a
file name: it gets open files and nothing else. This module opens them, lets
`gpu_worker.audio.child` run that process and turns its report into a `DecodedAudio`
or an error of `errors.py`. It knows no codec and loads no media library.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gpu_worker.audio.child import run_child
from gpu_worker.errors import (
    AudioOutOfBounds,
    DiskFull,
    InvalidOption,
    NoAudioSamples,
    NoAudioStream,
    ScriptoriumError,
    SourceMissing,
    UnreadableAudio,
)
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning

_REPORTED: dict[str, type[ScriptoriumError]] = {
    kind.code: kind
    for kind in (
        AudioOutOfBounds, DiskFull, InvalidOption, NoAudioSamples, NoAudioStream, UnreadableAudio,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """The bounds of one decoding: a file that needs more is refused.

    `memory_bytes` bounds the address space. Measured: 140 MB for PyAV with a small file,
    below 256 MB with numpy (more than two channels), 270 MB for the index of 24 hours of
    AAC in an mp4. Processor time is earned: `cpu_seconds` to begin with, and
    `cpu_seconds_per_audio_hour` for each hour written (measured: 2 for AAC, 230 for
    sixteen channels at 384 kHz).
    """

    max_seconds: float = 24 * 3600.0
    max_bytes: int = 8 * 1024**3
    min_sample_rate: int = 4_000
    max_sample_rate: int = 384_000
    max_channels: int = 16
    memory_bytes: int = 1024**3
    cpu_seconds: float = 60.0
    cpu_seconds_per_audio_hour: float = 600.0
    wall_seconds: float = 2 * 3600.0


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """The decoder's report on one file: the source's format and the PCM that was written."""

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

    def to_json(self) -> dict[str, Any]:
        """Return the report as artifacts hold it."""
        return asdict(self) | {"warnings": [asdict(warning) for warning in self.warnings]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DecodedAudio:
        """Make a report from the result of `to_json`."""
        warnings = tuple(TranscriptWarning(**warning) for warning in data.get("warnings", ()))
        return cls(**{**data, "warnings": warnings, "split": tuple(data.get("split", ()))})


_DEFAULT_LIMITS = AudioLimits()


def decode(
    source: Path,
    destination: Path,
    *,
    channel: int | None = None,
    track: int | None = None,
    limits: AudioLimits = _DEFAULT_LIMITS,
) -> DecodedAudio:
    """Write `source` as mono s16le at 16 kHz to `destination`.

    `channel` None is the mean of all channels, otherwise that channel counted from 0; a channel
    that would cancel another in the mean is inverted. `track` is one of the file's audio
    tracks, counted from 0; None: the one that the file marks as its default, else the first.
    Times are those of the presentation: audio that starts after the picture has silence before.
    The destination appears whole or not at all; its directory must exist. The name and
    the extension of the source mean nothing. What cannot be decoded, and gaps of half a
    second to ten minutes in the file's own clock, become silence, so that later times
    stay right. `warnings` lists them, and a file that ends before its declared
    length; its codes are decode_errors, timestamp_gaps, truncated_audio, opposite_channels and
    several_audio_streams.

    Raises SourceMissing, UnreadableAudio, NoAudioStream, NoAudioSamples,
    AudioOutOfBounds, InvalidOption (no such channel or track), DiskFull, and TransientError if
    a signal from outside stopped the decoder.
    """
    if channel is not None and channel < 0:
        raise InvalidOption(f"Channels are counted from 0; there is no channel {channel}.")
    with _opened(source, limits) as media, _replaced(destination) as pcm:
        return _run_decoder(media, [pcm], limits, channel=channel, track=track)


def decode_channels(
    source: Path,
    directory: Path,
    *,
    track: int | None = None,
    limits: AudioLimits = _DEFAULT_LIMITS,
) -> DecodedAudio:
    """Write each channel of `source` into `directory`, as a file named by the PCM's sha256.

    The file is read once. `split` of the result has the names, so equal channels are one
    file. All channels have the same length. In all else, and in its errors, it is as `decode`.
    """
    with _opened(source, limits) as media, TemporaryDirectory(".pcm", dir=directory) as scratch:
        paths = [Path(scratch) / str(channel) for channel in range(limits.max_channels)]
        with ExitStack() as stack:
            pcms = [stack.enter_context(path.open("wb")).fileno() for path in paths]
            audio = _run_decoder(media, pcms, limits, split=True, track=track)
        for path, checksum in zip(paths, audio.split, strict=False):
            path.replace(directory / checksum)
        return audio


@contextmanager
def _opened(source: Path, limits: AudioLimits) -> Iterator[int]:
    """Open the source, check it, and yield its file descriptor; close it at the end.

    The child gets no name, so that it can open no other file. Raises SourceMissing,
    UnreadableAudio, AudioOutOfBounds.
    """
    try:
        media = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise SourceMissing(f"The audio cannot be opened: {error.strerror}.") from error
    try:
        status = os.fstat(media)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableAudio("The source is not a regular file.")
        if status.st_size == 0:
            raise UnreadableAudio("The file is empty.")
        if status.st_size > limits.max_bytes:
            raise AudioOutOfBounds(
                f"The file has {status.st_size} bytes; {limits.max_bytes} are accepted."
            )
        yield media
    finally:
        os.close(media)


@contextmanager
def _replaced(destination: Path) -> Iterator[int]:
    """Yield the descriptor of a scratch file; it replaces `destination` if no error is raised.

    Raises DiskFull if the file cannot be made.
    """
    try:
        pcm, name = tempfile.mkstemp(prefix=".pcm-", dir=destination.parent)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
            raise
        raise DiskFull(f"The audio cannot be written: {error.strerror}.") from error
    try:
        yield pcm
        Path(name).replace(destination)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(pcm)


def _run_decoder(
    media: int, pcms: Sequence[int], limits: AudioLimits, **choice: Any
) -> DecodedAudio:
    """Run the decoder on open files, and return its report or raise its error.

    `choice` has `channel` or `split`, and `track`, as the decoder takes them.
    """
    report = run_child(
        "gpu_worker.audio.decoder.program",
        {
            "media": media,
            "pcms": list(pcms),
            "parent": os.getpid(),
            "limits": asdict(limits),
            **choice,
        },
        (media, *pcms),
        wall_seconds=limits.wall_seconds,
        memory_bytes=limits.memory_bytes,
    )
    if "error" in report:
        raise _REPORTED[report["error"]["code"]](report["error"]["message"])
    return DecodedAudio.from_json(report["audio"])
