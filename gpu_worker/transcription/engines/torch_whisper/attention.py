"""How much each token attends to each frame of the sound: the matrix that times words.

While a text is written, the cross-attention queries of the heads that follow the sound are kept.
With the keys, which are there anyway, they give openai/whisper's matrix (timing.py) without a
second pass of the decoder. Two things differ from it: its prompt is without hot words and an
initial prompt, and it normalises over one row more, that of the token that ends the text.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache

_FILTER = 7  # frames of the median


def attention_matrix(
    cache: Cache, slot: int, row: int, positions: slice, frames: int
) -> npt.NDArray[np.float32]:
    """Return the mean over the heads, (positions, frames), normalised and smoothed.

    `row` holds the item of `slot` now. Positions begin at `<|startoftranscript|>`.
    """
    heads = torch.cat(
        [
            _weights(
                layer.queries[slot, positions].transpose(0, 1),
                layer.cross_keys[row, layer.heads, :frames],
            )
            for layer in cache.layers
            if len(layer.heads)
        ]
    )
    deviation, mean = torch.std_mean(heads, dim=1, keepdim=True, correction=0)
    matrix: npt.NDArray[np.float32] = _median((heads - mean) / deviation).mean(dim=0).cpu().numpy()
    return matrix


def _weights(queries: Tensor, keys: Tensor) -> Tensor:
    """Return what heads attend to, (heads, positions, frames)."""
    width = queries.shape[-1]
    scores: Tensor = queries.float() @ keys.float().transpose(1, 2) * width**-0.5
    return scores.softmax(dim=-1)


def _median(heads: Tensor) -> Tensor:
    """Smooth along the frames: each value becomes the median of itself and its neighbours."""
    pad = _FILTER // 2
    if heads.shape[-1] <= pad:
        return heads
    padded = functional.pad(heads, (pad, pad), mode="reflect")
    return padded.unfold(-1, _FILTER, 1).median(dim=-1).values
