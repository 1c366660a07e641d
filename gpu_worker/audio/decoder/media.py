"""Open a media file, and choose one of its audio tracks.

A file is known by an open descriptor alone. FFmpeg gets it through its `fd:`
protocol, the only one allowed, so that nothing written inside a file can make it
open another file or a socket. Nothing here decodes.
"""

from __future__ import annotations

from typing import Any

import av

from gpu_worker.audio.decoder.whitelist import CODECS, CONTAINERS
from gpu_worker.audio.decoding import AudioLimits
from gpu_worker.errors import AudioOutOfBounds, InvalidOption, NoAudioStream, UnreadableAudio
from gpu_worker.transcript import TranscriptWarning

_ACCEPTED = frozenset(CODECS.split(","))


def open_media(media: int) -> Any:
    """Open the container of a file descriptor.

    Raises av.FFmpegError or ValueError if it is not an accepted one.
    """
    return av.open(
        "fd:",
        mode="r",
        metadata_errors="replace",
        options={
            "fd": str(media),
            "protocol_whitelist": "fd",
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
