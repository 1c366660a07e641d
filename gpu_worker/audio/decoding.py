"""Decode a media file to 16 kHz mono PCM, in a child process that the file may crash.

Decoding is the attack surface: the bytes come from strangers and the code that
reads them is C. So `gpu_worker.audio.decoder.program` reads the file in a process of its
own, with bounds on memory, processor time, output and wall time, and with open files and nothing
else: the kernel denies it names of files, the network and other processes
(`decoder/sandbox.py`). This module opens the files, lets `gpu_worker.audio.child` run that
process, and turns its report into a `DecodedAudio` or an error of `errors.py`. It believes of the
report only what fits (`report.py`). It knows no codec and loads no media library.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gpu_worker.audio.child import ChildBounds, run_child
from gpu_worker.audio.decoded import AudioLimits, DecodedAudio
from gpu_worker.audio.decoder.arrays import NEEDS_NUMPY
from gpu_worker.audio.report import ReportedAudio, ReportedError, check_audio, read_report
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

_REPORTED: dict[str, type[ScriptoriumError]] = {
    kind.code: kind
    for kind in (
        AudioOutOfBounds, DiskFull, InvalidOption, NoAudioSamples, NoAudioStream, UnreadableAudio,
    )
}  # fmt: skip
_DEFAULT_LIMITS = AudioLimits()


def decode(
    source: Path,
    destination: Path,
    *,
    channel: int | None = None,
    track: int | None = None,
    first_seconds: float | None = None,
    limits: AudioLimits = _DEFAULT_LIMITS,
) -> DecodedAudio:
    """Write `source` as mono s16le at 16 kHz to `destination`.

    `channel` None is the mean of all channels, otherwise that channel counted from 0; a channel
    that would cancel another in the mean is inverted. `track` is one of the file's audio
    tracks, counted from 0; None: the one that the file marks as its default, else the first.
    With `first_seconds` it stops there: no more is decoded or written, however long the file is.
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
        return _run_decoder(
            media, [pcm], limits, channel=channel, track=track, first_seconds=first_seconds
        )


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
            pcms = [stack.enter_context(path.open("w+b")).fileno() for path in paths]
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
    media: int, pcms: Sequence[int], limits: AudioLimits, *, split: bool = False, **choice: Any
) -> DecodedAudio:
    """Run the decoder on open files, and return its report or raise its error.

    `choice` has `channel`, `track` and `first_seconds`, as the decoder takes them. The PCM is
    measured and hashed here: the child may have been taken over by the file.
    """
    request = choice | {"media": media, "pcms": list(pcms), "split": split}
    end = time.monotonic() + limits.wall_seconds
    report = _ask_decoder(request, limits)
    if isinstance(report, ReportedError) and report.code == NEEDS_NUMPY:
        for pcm in pcms:
            os.ftruncate(pcm, 0)
            os.lseek(pcm, 0, os.SEEK_SET)
        left = max(0.0, end - time.monotonic())
        report = _ask_decoder(request | {"numpy": True}, replace(limits, wall_seconds=left))
    if isinstance(report, ReportedError):
        raise _REPORTED.get(report.code, UnreadableAudio)(report.message)
    check_audio(report, [os.fstat(pcm).st_size for pcm in pcms], limits, split=split)
    checksums = tuple(_checksum(pcm) for pcm in pcms[: report.outputs])
    return DecodedAudio(
        samples=report.samples,
        sha256=checksums[0],
        source_sample_rate=report.source_sample_rate,
        channels=report.channels,
        codec=report.codec,
        container=report.container,
        declared_seconds=report.declared_seconds,
        warnings=tuple(warning.warning() for warning in report.warnings),
        split=checksums if split else (),
    )


def _ask_decoder(request: Mapping[str, Any], limits: AudioLimits) -> ReportedAudio | ReportedError:
    """Run the decoder once, and return its report. Raises what `run_child` and it raise."""
    answer = run_child(
        "gpu_worker.audio.decoder.program",
        {**request, "parent": os.getpid(), "limits": asdict(limits)},
        (request["media"],),
        ChildBounds(limits.wall_seconds, limits.memory_bytes, limits.max_output_bytes),
        outputs=request["pcms"],
    )
    return read_report(answer)


def _checksum(pcm: int) -> str:
    with open(pcm, "rb", closefd=False) as file:
        file.seek(0)
        return file_digest(file, "sha256").hexdigest()
