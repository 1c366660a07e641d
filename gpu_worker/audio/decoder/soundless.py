"""Recognise packets that FFmpeg cannot decode although nothing is wrong with the file.

They are a pause (AMR's discontinuous transmission sends no sound between words), a tag between two
mp3 files that were joined, or the padding behind the last block of a wav. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# Frame types (3GPP TS 26.101 and 26.201, table 1a): comfort noise of AMR and of its neighbours,
# a lost frame of AMR-WB, and no data. FFmpeg's own decoders know only frames of speech.
_PAUSES = {"amrnb": frozenset({8, 9, 10, 11, 15}), "amrwb": frozenset({9, 14, 15})}
_TAGGED = frozenset({"mp3", "mp3float", "mp2", "mp2float", "mp1", "mp1float", "aac"})
_ID3V1_BYTES = 128
_ID3V2_HEAD_BYTES = 10
_MOST_SIZES = 2  # of packets, to know that they are not all of one size


class Soundless(Enum):
    """Why a packet has no sound."""

    PAUSE = "pause"  # lasts as long as the packet says
    TAG = "tag"  # takes no time
    PADDING = "padding"  # takes no time


@dataclass(slots=True)
class SoundlessPackets:
    """Tells packets without sound from damaged ones, for one stream.

    It must see all packets of the stream, in order.
    """

    codec: str  # FFmpeg's name of the decoder
    _sizes: set[int] = field(default_factory=set)
    _tag_bytes: int = 0  # of a tag that goes on in the next packet

    def kind(self, data: bytes, *, failed: bool, last: bool) -> Soundless | None:
        """Return why a packet has no sound; None if it is damaged or could be decoded.

        `failed` says that it could not be decoded, `last` that the stream properly ends with it.
        """
        is_tag = self._is_tag(data)
        is_padding = last and len(self._sizes) == 1 and len(data) < min(self._sizes)
        if len(self._sizes) < _MOST_SIZES:
            self._sizes.add(len(data))
        if not failed:
            return None
        if data and (data[0] >> 3 & 15) in _PAUSES.get(self.codec, ()):
            return Soundless.PAUSE
        if is_tag:
            return Soundless.TAG
        return Soundless.PADDING if is_padding else None

    def _is_tag(self, data: bytes) -> bool:
        """Return whether a packet is, or begins with, an ID3 tag.

        A long tag (with a cover) has several packets.
        """
        if self.codec not in _TAGGED:
            return False
        if self._tag_bytes > 0:
            self._tag_bytes -= len(data)
            return True
        begin = _ID3V1_BYTES if data[:3] == b"TAG" else 0
        head = data[begin : begin + _ID3V2_HEAD_BYTES]
        if head[:3] == b"ID3" and len(head) == _ID3V2_HEAD_BYTES:
            size = sum(
                (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
            )
            self._tag_bytes = begin + _ID3V2_HEAD_BYTES + size - len(data)
            return True
        return begin > 0
