"""The matrix that times words: heads are normalised, smoothed and averaged."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from gpu_worker.transcription.engines.torch_whisper.attention import attention_matrix
from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache, LayerCache

pytestmark = pytest.mark.slow  # it imports torch

HEADS, WIDTH, TEXT, SOUND = 3, 8, 12, 40


@pytest.fixture
def cache() -> Cache:
    generator = torch.Generator().manual_seed(1)
    layers = []
    for own in ([0, 2], [], [1]):
        layers.append(
            LayerCache(
                torch.zeros(2, HEADS, TEXT, WIDTH),
                torch.zeros(2, HEADS, TEXT, WIDTH),
                torch.randn(2, HEADS, SOUND, WIDTH, generator=generator),
                torch.randn(2, HEADS, SOUND, WIDTH, generator=generator),
                torch.tensor(own, dtype=torch.long),
                torch.randn(2, TEXT, len(own), WIDTH, generator=generator),
            )
        )
    return Cache(tuple(layers), torch.arange(2))


def test_it_is_openai_s_of_the_chosen_heads(cache: Cache) -> None:
    found = attention_matrix(cache, 0, 1, slice(2, 10), 30)
    heads = []
    for layer in (cache.layers[0], cache.layers[2]):
        for place, head in enumerate(layer.heads.tolist()):
            scores = layer.queries[0, 2:10, place] @ layer.cross_keys[1, head, :30].T
            heads.append((scores / WIDTH**0.5).softmax(-1).numpy())
    weights = np.stack(heads)
    weights = (weights - weights.mean(1, keepdims=True)) / weights.std(1, keepdims=True)
    smooth = scipy.ndimage.median_filter(weights, (1, 1, 7), mode="mirror")
    np.testing.assert_allclose(found, smooth.mean(0), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_short_sound_is_no_error(cache: Cache, frames: int) -> None:
    assert attention_matrix(cache, 0, 0, slice(0, 5), frames).shape == (5, frames)
