"""Open a media file, and choose one of its audio tracks.

A file is known by an open descriptor alone. FFmpeg reads it through a Python object, and may use
no protocol of its own, so that nothing written inside a file can make it open another file or a
socket. Its own protocol for descriptors (`fd:`) would ask for the file's status, by a system call
that takes names of files too and is therefore denied (`seccomp.py`). Nothing here decodes.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import av

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.whitelist import CODECS, CONTAINERS
from gpu_worker.errors import AudioOutOfBounds, InvalidOption, NoAudioStream, UnreadableAudio
from gpu_worker.transcript import TranscriptWarning

_BUFFER_BYTES = 1 << 16
_ACCEPTED = frozenset(CODECS.split(","))


class MediaFile:
    """An open file as PyAV reads it. The descriptor's own position is neither used nor moved."""

    name = "media"  # FFmpeg guesses from a name's extension; it has none

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._size = size_of(descriptor)

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        data = os.pread(self._descriptor, size, self._position)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """Return the position of the next byte that is read."""
        return self._position

    def seek(self, offset: int, whence: int) -> int:
        """Move, as `lseek` does, and return the new position, or -EINVAL for one before the file.

        An exception would be kept by PyAV and raised at a later call.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence)
        if base is None or base + offset < 0:
            return -errno.EINVAL
        self._position = base + offset
        return self._position


def size_of(descriptor: int) -> int:
    """Return the bytes in an open file; its position is then the end."""
    return os.lseek(descriptor, 0, os.SEEK_END)


def open_media(media: int) -> Any:
    """Open the container of a file descriptor.

    Raises av.FFmpegError or ValueError if it is not an accepted one.
    """
    return av.open(
        MediaFile(media),
        mode="r",
        metadata_errors="replace",
        buffer_size=_BUFFER_BYTES,
        options={
            "protocol_whitelist": "none",
            "format_whitelist": CONTAINERS,
            "codec_whitelist": CODECS,
        },
    )


def audio_stream(container: Any, limits: AudioLimits, track: int | None = None) -> Any:
    """Choose one audio track, check its codec and its shape, and return it, not yet decoded.

    `track` is its number, from 0, among the audio tracks. None: as players choose, the one that
    the file marks as its default, else the first; one whose codec is not accepted comes last.
    Raises NoAudioStream, InvalidOption (no such track), UnreadableAudio (a codec that is not
    accepted), AudioOutOfBounds.
    """
    tracks = container.streams.audio
    if not tracks:
        raise NoAudioStream("The file has no audio stream.")
    if track is not None and track >= len(tracks):
        count = "1 audio track" if len(tracks) == 1 else f"{len(tracks)} audio tracks"
        raise InvalidOption(f"The file has {count}, counted from 0; there is no track {track}.")
    stream = min(tracks, key=_rank) if track is None else tracks[track]
    context = stream.codec_context
    if not _is_accepted(stream):
        name = "unknown" if context is None else context.name
        raise UnreadableAudio(f"The audio's codec ({name}) is not accepted.")
    if context.sample_rate:  # 0: not known before the first frame, where it is checked again
        check_shape(context.sample_rate, context.layout.nb_channels, limits)
    context.thread_count = 1
    return stream


def track_warnings(container: Any, stream: Any, track: int | None) -> tuple[TranscriptWarning, ...]:
    """Return a warning that names the taken track, if there are several and `track` is None."""
    tracks = list(container.streams.audio)
    if track is not None or len(tracks) < 2:
        return ()
    why = "which the file marks as its default" if _is_default(stream) else "as players do"
    message = (
        f"Of {len(tracks)} audio tracks, counted from 0, track {tracks.index(stream)} was taken, "
        f"{why}. The option audio_track takes another."
    )
    return (TranscriptWarning("several_audio_streams", message),)


def _rank(stream: Any) -> tuple[bool, bool]:
    """Return a track's rank: less is better, and of equals `min` takes the first."""
    return not _is_accepted(stream), not _is_default(stream)


def _is_accepted(stream: Any) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in _ACCEPTED


def _is_default(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).default)


def check_shape(sample_rate: int, channels: int, limits: AudioLimits) -> None:
    """Raise AudioOutOfBounds unless the sample rate and the number of channels are accepted.

    To be called before decoding, since 1 Hz would be stretched 16 000 times.
    """
    if not limits.min_sample_rate <= sample_rate <= limits.max_sample_rate:
        raise AudioOutOfBounds(
            f"The sample rate is {sample_rate} Hz; {limits.min_sample_rate} to "
            f"{limits.max_sample_rate} Hz are accepted."
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioOutOfBounds(
            f"The audio has {channels} channels; 1 to {limits.max_channels} are accepted."
        )
