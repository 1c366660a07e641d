"""Which media files are opened, and what their headers promise.

A file is known by an open descriptor alone. FFmpeg gets it through its `fd:`
protocol, the only one allowed, so that nothing written inside a file can make it
open another file or a socket. Nothing here decodes.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Any

import av

from gpu_worker.audio import AudioLimits
from gpu_worker.errors import AudioOutOfBounds, NoAudioStream, UnreadableAudio

# FFmpeg's names of demuxers that read one file and hold audio. Absent on purpose: hls, concat,
# dash, image sequences, subtitles, devices, and whatever else follows references.
_CONTAINERS = (
    "wav,w64,aiff,caf,au,voc,nistsphere,flac,mp3,aac,loas,ac3,eac3,dts,truehd,ogg,mov,matroska,"
    "asf,xwma,amr,amrnb,amrwb,ape,wv,tta,mpc,mpc8,dsf,avi,flv,mpegts,mpeg"
)
# FFmpeg's names of audio decoders. A video decoder is never started, not even to probe.
_CODECS = (
    "aac,aac_latm,ac3,adpcm_g722,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,alac,"
    "amrnb,amrwb,ape,dca,dsd_lsbf,dsd_lsbf_planar,dsd_msbf,dsd_msbf_planar,eac3,flac,"
    "g722,g723_1,g726,g726le,g729,gsm,gsm_ms,ilbc,libgsm,libopencore_amrnb,"
    "libopencore_amrwb,libopus,libspeex,libvorbis,mlp,mp1,mp1float,mp2,mp2float,mp3,"
    "mp3float,mpc7,mpc8,nellymoser,opus,pcm_alaw,pcm_bluray,pcm_dvd,pcm_f16le,"
    "pcm_f24le,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,"
    "pcm_s16be_planar,pcm_s16le,pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s24le_planar,"
    "pcm_s32be,pcm_s32le,pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_s8,pcm_s8_planar,"
    "pcm_u16be,pcm_u16le,pcm_u24be,pcm_u24le,pcm_u32be,pcm_u32le,pcm_u8,qcelp,shorten,"
    "speex,truehd,truespeech,tta,vorbis,wavpack,wmalossless,wmapro,wmav1,wmav2,"
    "wmavoice"
)
# Containers whose header says how long the audio is. In the others FFmpeg guesses from the bit
# rate, or has looked at the end of the file and cannot know what is missing.
_WITH_DECLARED_LENGTH = frozenset(
    {"w64", "aiff", "caf", "au", "flac", "mov", "matroska"}
    | {"asf", "avi", "flv", "ape", "wv", "tta", "dsf"}
)
_RAW_TAGS = (1, 3, 6, 7, 0xFFFE)  # WAVE_FORMAT_PCM, _IEEE_FLOAT, _ALAW, _MULAW, _EXTENSIBLE
_STEADY_TAGS = (2, 0x11, 0x31)  # _ADPCM, _DVI_ADPCM, _GSM610: as many bytes every second
_HEAD_BYTES = 1 << 16  # where a wav's data chunk and an mp3's first frame are looked for
_UNKNOWN_SIZES = (2**31, 2**32)  # what writers to a pipe put for a size they cannot know


def open_media(media: int) -> Any:
    """The container. Raises av.FFmpegError or a ValueError if it is not one of those accepted."""
    return av.open(
        "fd:",
        mode="r",
        metadata_errors="replace",
        options={
            "fd": str(media),
            "protocol_whitelist": "fd",
            "format_whitelist": _CONTAINERS,
            "codec_whitelist": _CODECS,
        },
    )


def audio_stream(container: Any, limits: AudioLimits) -> Any:
    """The first audio stream, not yet decoded, within bounds.

    Raises NoAudioStream, UnreadableAudio (a codec that is not accepted), AudioOutOfBounds.
    """
    if not container.streams.audio:
        raise NoAudioStream("The file has no audio stream.")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None or context.name not in _CODECS.split(","):
        name = "unknown" if context is None else context.name
        raise UnreadableAudio(f"The audio's codec ({name}) is not accepted.")
    if context.sample_rate:  # 0: not known before the first frame, where it is checked again
        check_shape(context.sample_rate, context.layout.nb_channels, limits)
    for other in container.streams:
        discard = getattr(other, "discard", None)  # new in PyAV 18
        if other is not stream and discard is not None:
            other.discard = type(discard).all
    context.thread_count = 1
    return stream


def check_shape(sample_rate: int, channels: int, limits: AudioLimits) -> None:
    """Raises AudioOutOfBounds; before decoding, since 1 Hz would be stretched 16 000 times."""
    if not limits.min_sample_rate <= sample_rate <= limits.max_sample_rate:
        raise AudioOutOfBounds(
            f"The sample rate is {sample_rate} Hz; {limits.min_sample_rate} to "
            f"{limits.max_sample_rate} Hz are accepted."
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioOutOfBounds(
            f"The audio has {channels} channels; 1 to {limits.max_channels} are accepted."
        )


def declared_seconds(container: Any, stream: Any, media: int) -> float | None:
    """The length that the header promises for the audio, or None if it promises none."""
    names = set(container.format.name.split(","))
    if "wav" in names:
        return _wav_seconds(os.pread(media, _HEAD_BYTES, 0))
    if "mp3" in names:
        return _mp3_seconds(_after_id3(media))
    if not names & _WITH_DECLARED_LENGTH:
        return None
    if "matroska" in names and "DURATION" in stream.metadata:
        return _clock_seconds(stream.metadata["DURATION"])
    whole = container.duration / av.time_base if container.duration else None
    if stream.duration:
        own = float(stream.duration * stream.time_base)
        return own if whole is None else min(own, whole)  # edit lists shorten the whole only
    return whole if len(container.streams) == 1 else None  # else it may be the picture's length


def _clock_seconds(text: str) -> float | None:
    """Seconds of `01:02:03.5`."""
    found = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", text.strip())
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _wav_seconds(head: bytes) -> float | None:
    """From the sizes in a RIFF header; FFmpeg's own value shrinks with the file."""
    if head[:4] != b"RIFF":
        return None
    position, byte_rate = 12, 0  # bytes a second
    while position + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, position)
        if name == b"fmt " and position + 22 <= len(head):
            tag, _, rate, byte_rate, block = struct.unpack_from("<HHIIH", head, position + 8)
            if tag in _RAW_TAGS:  # writers get the byte rate wrong and FFmpeg does not read it
                byte_rate = rate * block
            elif tag not in _STEADY_TAGS:
                return None
        if name == b"data":
            unknown = size == 0 or any(abs(size - guess) <= _HEAD_BYTES for guess in _UNKNOWN_SIZES)
            return None if unknown or not byte_rate else size / byte_rate
        position += 8 + size + size % 2
    return None


def _after_id3(media: int) -> bytes:
    """The first bytes behind the ID3v2 tag, if there is one."""
    head = os.pread(media, 10, 0)
    if head[:3] != b"ID3" or len(head) < 10:
        return os.pread(media, _HEAD_BYTES, 0)
    size = sum(
        (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
    )
    return os.pread(media, _HEAD_BYTES, 10 + size)


def _mp3_seconds(head: bytes) -> float | None:
    """From the frame count of a Xing or Info header in the first frame (MPEG audio layer III)."""
    sync = next((i for i in range(len(head) - 4) if head[i] == 0xFF and head[i + 1] >= 0xE0), None)
    if sync is None:
        return None
    version, rate_index = (head[sync + 1] >> 3) & 3, (head[sync + 2] >> 2) & 3
    tag = max(head.find(name, sync, sync + 64) for name in (b"Xing", b"Info"))
    if tag < 0 or rate_index == 3 or version == 1 or len(head) < tag + 12:
        return None
    flags, frames = struct.unpack_from(">II", head, tag + 4)
    if not flags & 1:
        return None
    halvings = {3: 0, 2: 1, 0: 2}[version]  # MPEG 1, 2, 2.5
    rate = (44_100, 48_000, 32_000)[rate_index] >> halvings
    seconds: float = frames * (1152 if version == 3 else 576) / rate
    return seconds
