"""Read the length of the audio that a file's headers declare.

A header may declare more than there is, since the file was cut off; or the writer could not
know the length, since it wrote to a pipe, and put any large number. Nothing here decodes.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import Any

import av

from gpu_worker.audio.decoder.media import size_of

# Containers whose header says how long the audio is. In the others FFmpeg guesses from the bit
# rate, or has looked at the end of the file and cannot know what is missing.
_WITH_DECLARED_LENGTH = frozenset(
    {"w64", "aiff", "caf", "au", "flac", "mov", "matroska"}
    | {"asf", "avi", "flv", "ape", "wv", "tta", "dsf"}
)
_RAW_TAGS = (1, 3, 6, 7, 0xFFFE)  # WAVE_FORMAT_PCM, _IEEE_FLOAT, _ALAW, _MULAW, _EXTENSIBLE
_STEADY_TAGS = (2, 0x11, 0x31)  # _ADPCM, _DVI_ADPCM, _GSM610: as many bytes every second
_HEAD_BYTES = 1 << 16  # where a wav's data chunk and an mp3's first frame are looked for
_A_DAY = 24 * 3600.0  # a longer length that the file does not have is taken for a placeholder too
# Sizes that writers to a pipe put when they cannot know it: the most that fits (FFmpeg, SoX), or a
# round number of bytes.
_PLACEHOLDERS = (2**31, 2**32, 1_000_000_000, 2_000_000_000, 4_000_000_000)


@dataclass(frozen=True, slots=True)
class Declared:
    """The length that a header declares."""

    seconds: float  # from the start of the presentation to the end of the audio
    is_there: bool = True  # False: the file has not so many bytes; only known of PCM and the like


def declared_length(
    container: Any, stream: Any, media: int, *, start: float = 0.0, late: float = 0.0
) -> Declared | None:
    """Return the end of the audio that the header declares; None if it has none, or a placeholder.

    `media` is the file's descriptor, `start` when the presentation starts by the container's
    clock, `late` how many seconds after it the audio starts.
    """
    names, file_bytes = set(container.format.name.split(",")), size_of(media)
    if "wav" in names:
        return _of_wav(os.pread(media, _HEAD_BYTES, 0), file_bytes)
    if "mp3" in names:
        return _of_mp3(_after_id3(media))
    if not names & _WITH_DECLARED_LENGTH:
        return None
    whole = container.duration / av.time_base if container.duration else None
    if "matroska" in names and "DURATION" in stream.metadata:
        end = _clock_seconds(stream.metadata["DURATION"])
        return None if end is None else Declared(end - max(0.0, start))
    if stream.duration:
        own = float(stream.duration * stream.time_base) + late
        seconds = own if whole is None else min(own, whole)  # edit lists shorten the whole only
        context = stream.codec_context
        if context.name.startswith("pcm_") and context.bit_rate:
            return _of_bytes(
                round(seconds * context.bit_rate / 8), context.bit_rate / 8, file_bytes
            )
        return Declared(seconds)
    if whole is None or len(container.streams) > 1:  # it may be the picture's length
        return None
    return Declared(whole)


def _of_bytes(size: int, byte_rate: float, file_bytes: int) -> Declared | None:
    """Return the length of `size` bytes of sound at `byte_rate` bytes a second.

    None if the size is 0; or if the file has fewer bytes, and it is a placeholder or over a day.
    """
    if size <= file_bytes:
        return Declared(size / byte_rate) if size else None
    is_placeholder = any(abs(size - guess) <= _HEAD_BYTES for guess in _PLACEHOLDERS)
    seconds = size / byte_rate
    return None if is_placeholder or seconds > _A_DAY else Declared(seconds, is_there=False)


def _clock_seconds(text: str) -> float | None:
    """Return the seconds of a text such as `01:02:03.5`; None for any other text."""
    found = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", text.strip())
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _of_wav(head: bytes, file_bytes: int) -> Declared | None:
    """Read the length from the sizes in a RIFF header; FFmpeg's own value shrinks with the file."""
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
            return _of_bytes(size, byte_rate, file_bytes) if byte_rate else None
        position += 8 + size + size % 2
    return None


def _after_id3(media: int) -> bytes:
    """Return the first 64 KiB behind the ID3v2 tag, or of the file if it has none."""
    head = os.pread(media, 10, 0)
    if head[:3] != b"ID3" or len(head) < 10:
        return os.pread(media, _HEAD_BYTES, 0)
    size = sum(
        (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
    )
    return os.pread(media, _HEAD_BYTES, 10 + size)


def _of_mp3(head: bytes) -> Declared | None:
    """Read the length from the frame count of a Xing or Info header in the first frame.

    `head` begins at the first frame or before it (MPEG audio layer III).
    """
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
    return Declared(frames * (1152 if version == 3 else 576) / rate)
