"""Choose the next token: the likeliest one, or one drawn by chance.

The chance is computed from a row's seed, the position and the token, by whole numbers alone. So a
window has the same chances on every device, in any batch, and when it is decoded once more; the
scores that they are added to may be rounded otherwise on another device.
"""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor

from gpu_worker.audio.samples import Audio

_LOW = 0xFFFFFFFF  # the lower 32 bits
_BITS = 23  # that a float32 holds, with a half behind them


def choose(scores: Tensor, temperature: Tensor, noise: Tensor | None) -> Tensor:
    """Return the chosen tokens, (rows,), by scores of shape (rows, vocabulary).

    Without `noise` it is the likeliest one. With Gumbel noise the highest sum is a draw from the
    softmax of scores over temperature.
    """
    return (scores if noise is None else scores / temperature + noise).argmax(dim=-1)


def seed(window: Audio, candidate: int, temperature: float) -> int:
    """Return the seed of one candidate for a window's text."""
    data = f"{candidate} {temperature} ".encode() + window.tobytes()
    return int.from_bytes(blake2b(data, digest_size=4).digest())


def gumbel_noise(seeds: Tensor, position: Tensor, vocabulary: int) -> Tensor:
    """Return Gumbel noise, (rows, vocabulary), of seeds, (rows, 1), and a position, (1,)."""
    tokens = torch.arange(vocabulary, device=seeds.device)
    bits = _mixed(_mixed(seeds ^ _mixed(position)) + tokens) >> (32 - _BITS)
    uniform = (bits.float() + 0.5) / 2**_BITS
    return -torch.log(-torch.log(uniform))


def _mixed(x: Tensor) -> Tensor:
    """Mix the lower 32 bits of each number (lowbias32 of C. Wellons' hash-prospector)."""
    x = x & _LOW
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D & _LOW
    x = x ^ (x >> 15)
    x = x * 0x846CA68B & _LOW
    return x ^ (x >> 16)
