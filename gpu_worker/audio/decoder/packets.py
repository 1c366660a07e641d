"""Read the packets of one audio track, and find when the track starts in the presentation.

A presentation starts with its first sound or picture, at any time of the container's clock:
that of a broadcast may be the time of the day. FFmpeg's own start times are not enough: it does
not know a picture's where no video decoder runs, nor those of a track that it has not met while
it looked at the file's beginning.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import av

# Tracks are interleaved: a track that starts before the audio has its packets before it, or soon
# after.
_LOOKED_AT = 32  # packets of the track, at most, until another one has begun


class Packets:
    """Reads one track to its end, or to the place where the file cannot be read any more.

    `start` is when the presentation starts by the container's clock, and `late` how much later
    the track does, in seconds. `cut` is True once the file could not be read to its end.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        """Read the first packets. Raises MemoryError."""
        self.cut = False
        self._container, self._stream = container, stream
        self._held: list[Any] = []
        self._has_ended = False
        firsts = self._look_ahead()
        self.start = min(firsts.values(), default=0.0)
        self.late = firsts.get(stream.index, self.start) - self.start

    def __iter__(self) -> Iterator[tuple[Any, bool]]:
        """Yield all packets and one to flush, each with whether it is the last before a proper end.

        If the file cannot be read to its end, no packet is. Raises MemoryError.
        """
        held = None
        for packet in self._all():
            if held is not None:
                yield held, packet is not None and _is_flush(packet)
            held = packet
        yield held, False

    def _look_ahead(self) -> dict[int, float]:
        """Keep the track's first packets; return the first time of each track, in seconds.

        The keys are the numbers of the tracks.
        """
        shown = [
            stream
            for stream in (*self._container.streams.audio, *self._container.streams.video)
            if stream is self._stream or not _is_cover(stream)
        ]
        firsts: dict[int, float] = {}
        for packet in self._read(shown):
            if packet is None or _is_flush(packet):
                self._has_ended = True
                self._held.append(None)
                break
            if packet.pts is not None and not packet.is_discard:  # cut away by an edit list
                firsts.setdefault(packet.stream.index, float(packet.pts * packet.time_base))
            if packet.stream.index == self._stream.index:
                self._held.append(packet)
                if len(firsts) == len(shown) or len(self._held) >= _LOOKED_AT:
                    break
        for other in self._container.streams:
            discard = getattr(other, "discard", None)  # new in PyAV 18
            if other is not self._stream and discard is not None:
                other.discard = type(discard).all
        return firsts

    def _all(self) -> Iterator[Any]:
        yield from self._held
        self._held = []
        if not self._has_ended:
            yield from self._read([self._stream])

    def _read(self, streams: list[Any]) -> Iterator[Any]:
        """Yield packets, and None where the file cannot be read any more. Raises MemoryError."""
        try:
            yield from self._container.demux(*streams)
        except av.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError from error
            self.cut = True
            yield None


def _is_flush(packet: Any) -> bool:
    return packet.size == 0 and packet.dts is None and packet.pts is None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)
