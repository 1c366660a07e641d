"""Convert audio frames of any shape to s16 at 16 kHz: one channel, or all channels apart.

Knows frames only; `program.py` reads them from the file, and `sink.py` writes the samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.audio.decoder.arrays import numpy
from gpu_worker.audio.decoder.media import check_shape
from gpu_worker.audio.decoder.polarity import Polarity
from gpu_worker.errors import InvalidOption
from gpu_worker.pcm import SAMPLE_BYTES, SAMPLE_RATE

_PLAIN_LAYOUTS = frozenset({"mono", "stereo", "1 channels", "2 channels"})


class Mixer:
    """Converts frames to mono s16 at 16 kHz, or with `split` to interleaved channels.

    `split` gives as many channels as the first frame has, to the end of the stream. The
    resampler keeps all channels apart unless its mix is the plain mean: for surround its own
    down-mix weighs channels unequally and drops the fourth of six, which in a recording of a
    meeting is a person.
    """

    def __init__(self, channel: int | None, limits: AudioLimits, *, split: bool = False) -> None:
        self.split = split
        self._channel = channel
        self._limits = limits
        self._shape: tuple[Any, ...] = ()
        self._channels = 1
        self._resampler: Any = None
        self._polarity: Polarity | None = None  # None: nothing is mixed
        self.is_turned = False  # whether a channel of the last frame was inverted (`Polarity`)
        self.source = (0, 0)  # sample rate and channels of the first frame

    @property
    def outputs(self) -> int:
        """Number of interleaved channels in the output; known once a frame was converted."""
        return max(1, self.source[1]) if self.split else 1

    def convert(self, frame: Any) -> Iterator[bytes]:
        """Yield the frame's samples as s16 at 16 kHz, with all outputs interleaved.

        The frame itself may be changed. Raises AudioOutOfBounds for a shape that is not accepted,
        and InvalidOption if it has no such channel.
        """
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:  # chained streams may change it
            yield from self.flush()
            self._begin(frame)
            self._shape = shape
        frame.pts = None  # the resampler would follow it
        if frame.format.name in ("flt", "dbl"):  # raw PCM; what codecs decode to is planar
            _make_finite(frame)
        self.is_turned = self._polarity is not None and self._polarity.align(frame)
        for output in self._resampler.resample(frame):
            yield self._chosen(output)

    def flush(self) -> Iterator[bytes]:
        """Yield the samples that the resampler still holds; call it behind the last frame."""
        if self._resampler is not None:
            for output in self._resampler.resample(None):
                yield self._chosen(output)
        self._resampler = None

    def _begin(self, frame: Any) -> None:
        channels = frame.layout.nb_channels
        check_shape(frame.sample_rate, channels, self._limits)
        if not self._shape:
            self.source = (frame.sample_rate, channels)
            if self._channel is not None and self._channel >= channels:
                raise InvalidOption(
                    f"The audio has {channels} channels, counted from 0; there is no channel "
                    f"{self._channel}."
                )
        by_resampler = channels == 1 or (
            not self.split and self._channel is None and frame.layout.name in _PLAIN_LAYOUTS
        )
        mixes = channels > 1 and not self.split and self._channel is None
        self._polarity = Polarity(channels) if mixes else None
        self._channels = 1 if by_resampler else channels
        layout = "mono" if by_resampler and channels == 2 else None
        self._resampler = av.AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE)

    def _chosen(self, frame: Any) -> bytes:
        data = bytes(frame.planes[0])[: frame.samples * self._channels * SAMPLE_BYTES]
        if self._channels == self.outputs:
            return data
        if self.split:
            return self._as_at_first(data)
        if self._channel is not None:
            chosen = min(self._channel, self._channels - 1)
            return memoryview(data).cast("h")[chosen :: self._channels].tobytes()
        np = numpy()
        table = np.frombuffer(data, "<i2").reshape(-1, self._channels)
        mixed: bytes = np.rint(table.mean(axis=1)).astype("<i2").tobytes()
        return mixed

    def _as_at_first(self, data: bytes) -> bytes:
        """Return as many channels as the first frame had.

        Channels that ended are silent, new ones are mixed into the last one.
        """
        np, count = numpy(), self.outputs
        table = np.frombuffer(data, "<i2").reshape(-1, self._channels)
        kept = np.zeros((len(table), count), "<i2")
        kept[:, : self._channels] = table[:, :count]
        if self._channels > count:
            kept[:, -1] = np.rint(table[:, count - 1 :].mean(axis=1))
        return bytes(kept.tobytes())


def _make_finite(frame: Any) -> None:
    """Replace NaN by silence and infinity by full scale; the resampler would smear both."""
    np = numpy()
    for plane in frame.planes:
        values = np.frombuffer(plane, np.float32 if frame.format.name == "flt" else np.float64)
        if not np.isfinite(values).all():
            plane.update(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=-1.0).tobytes())
