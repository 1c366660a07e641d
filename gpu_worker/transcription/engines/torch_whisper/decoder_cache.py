"""What the decoder remembers of a batch: keys and values, at addresses that never change.

A CUDA graph replays its kernels on the addresses that it was captured with. So all tensors are
made once for so many rows, and written in place. A batch of fewer rows uses the first ones. A row
that has ended changes places with one that has not: nothing is lost, and the rows that go on are
always the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One layer's part; the first four change places together."""

    keys: Tensor  # of the text so far: (rows, heads, text positions, width / heads)
    values: Tensor
    cross_keys: Tensor  # of the sound: (rows, heads, audio positions, width / heads)
    cross_values: Tensor
    heads: Tensor  # indices of the heads that time words; may be empty
    queries: Tensor  # of these heads: (slots, text positions, heads, width / heads)


@dataclass(frozen=True, slots=True)
class Cache:
    """All layers' parts. `slots` says which item of the batch each row holds now."""

    layers: tuple[LayerCache, ...]
    slots: Tensor  # (rows,); what is kept by slot does not change places

    @property
    def rows(self) -> int:
        """How many rows there is room for."""
        return len(self.slots)

    def swap(self, ended: Sequence[int], others: Sequence[int]) -> None:
        """Let each row of `ended` change places with the row of `others` at the same index."""
        device = self.slots.device
        here = torch.tensor([*ended, *others], device=device)
        there = torch.tensor([*others, *ended], device=device)
        for layer in self.layers:
            for kept in (layer.keys, layer.values, layer.cross_keys, layer.cross_values):
                kept[here] = kept[there]
        self.slots[here] = self.slots[there]
