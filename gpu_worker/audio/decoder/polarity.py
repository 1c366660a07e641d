"""Invert channels of opposite polarity, which would cancel each other in the mix.

A swapped wire changes the sign of a channel: each channel is heard, and their mean is silence.
The sign of such a channel is changed back before they are mixed. Works on frames one after the
other, in bounded memory: only a part of the file may have the fault.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from operator import mul
from typing import Any, Literal

from gpu_worker.audio.decoder.arrays import numpy

# A correlation of -1 is silence in the mix. At -0.9 a twentieth of the energy is left (-13 dB),
# which stereo of any microphones does not come near over a tenth of a second.
_OPPOSITE = -0.9
_ALIKE_AGAIN = -0.5  # an inverted channel stays so below it: noise must not toggle it
_SURELY_ALIKE = 0.5
_PAUSE_ENERGY = 0.01  # of the energy when it was inverted; less is a pause and decides nothing
_MEMORY_SECONDS = 0.1
_SAMPLES_PER_SECOND = 1500  # looked at, of each channel; enough for a correlation
_FORMATS: dict[str, Literal["B", "h", "i", "q", "f", "d"]] = {  # of FFmpeg, as a memoryview has it
    "u8": "B", "s16": "h", "s32": "i", "s64": "q", "flt": "f", "dbl": "d",
}  # fmt: skip
_ZERO = {"u8": 128}


class Polarity:
    """Inverts, frame by frame, the channels that would cancel another one."""

    def __init__(self, channels: int) -> None:
        self.turned: tuple[bool, ...] = (False,) * channels  # of the last frame's channels
        self._pairs = list(combinations(range(channels), 2))
        self._energy = [0.0] * channels
        self._products = dict.fromkeys(self._pairs, 0.0)
        self._heard = [0.0] * channels  # a channel's energy when it was surely opposite

    def align(self, frame: Any) -> bool:
        """Invert, inside `frame`, the channels that would cancel. Return whether there are any."""
        self._listen(frame)
        turned = [False] * len(self._energy)
        for first, second in self._pairs:
            if self._cancel(first, second):
                turned[second] = not turned[first]
        self.turned = tuple(turned)
        if any(turned):
            _turn(frame, [channel for channel, is_so in enumerate(turned) if is_so])
        return any(turned)

    def _listen(self, frame: Any) -> None:
        """Update energies and products; sound from 0.1 s ago counts for a third (1/e)."""
        channels = _sampled(frame)
        seconds = frame.samples / frame.sample_rate
        kept = math.exp(-seconds / _MEMORY_SECONDS)
        for number, values in enumerate(channels):
            self._energy[number] = kept * self._energy[number] + _dot(values, values)
        for first, second in self._pairs:
            product = _dot(channels[first], channels[second])
            self._products[first, second] = kept * self._products[first, second] + product

    def _cancel(self, first: int, second: int) -> bool:
        both = self._energy[first] + self._energy[second]
        if not both > 0:  # silence; or no number
            return self.turned[second] and not self.turned[first]
        likeness = 2 * self._products[first, second] / both
        if likeness < _OPPOSITE:
            self._heard[second] = max(self._heard[second], self._energy[second])
            return True
        if not self.turned[second] or self.turned[first]:
            return False
        is_pause = self._energy[second] < _PAUSE_ENERGY * self._heard[second]
        return likeness < (_SURELY_ALIKE if is_pause else _ALIKE_AGAIN)


def _sampled(frame: Any) -> Sequence[Sequence[float]]:
    """Return some samples of each channel, evenly spaced, at the same times in all channels."""
    name, count = frame.format.name, frame.layout.nb_channels
    code = _FORMATS[name.removesuffix("p")]
    zero = _ZERO.get(name.removesuffix("p"), 0)
    step = frame.sample_rate // _SAMPLES_PER_SECOND | 1  # odd: in step with no even tone
    if frame.format.is_planar:
        planes = [memoryview(plane).cast("B").cast(code) for plane in frame.planes]
        found = [list(plane[: frame.samples : step]) for plane in planes]
    else:
        whole = memoryview(frame.planes[0]).cast("B").cast(code)[: frame.samples * count]
        found = [list(whole[channel :: step * count]) for channel in range(count)]
    return [[value - zero for value in values] for values in found] if zero else found


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return float(sum(map(mul, first, second)))


def _turn(frame: Any, channels: Sequence[int]) -> None:
    """Change the sign of these channels' samples in place."""
    np = numpy()
    name, count = frame.format.name.removesuffix("p"), frame.layout.nb_channels
    kind = np.dtype(_FORMATS[name])
    for number, plane in enumerate(frame.planes):
        planar = frame.format.is_planar
        values = np.frombuffer(plane, kind).copy()
        own = [values] if planar else [values[channel::count] for channel in channels]
        if planar and number not in channels:
            continue
        for part in own:
            if kind.kind == "f":
                np.negative(part, out=part)
            elif kind.kind == "u":
                part[:] = 255 - part
            else:  # ~x is -x - 1, and never too large for its type
                np.invert(part, out=part)
        plane.update(values.tobytes())
