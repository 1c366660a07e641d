"""Rows of the cache change places, and with them the items that they hold."""

from __future__ import annotations

import pytest
import torch

from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache, LayerCache

pytestmark = pytest.mark.slow  # it imports torch


def test_rows_change_places_in_all_layers_and_nothing_is_lost() -> None:
    def kept(part: int) -> torch.Tensor:
        return torch.arange(5.0)[:, None, None, None] + 10 * part

    layers = tuple(
        LayerCache(kept(0), kept(1), kept(2), kept(3), torch.tensor([0]), torch.zeros(5, 2, 1, 3))
        for _ in range(2)
    )
    cache = Cache(layers, torch.arange(5))
    addresses = [layer.keys.data_ptr() for layer in layers]
    cache.swap([0, 2], [4, 3])
    assert cache.slots.tolist() == [4, 1, 3, 2, 0]
    for layer, address in zip(layers, addresses, strict=True):
        assert layer.keys.flatten().tolist() == [4, 1, 3, 2, 0]
        assert layer.cross_values.flatten().tolist() == [34, 31, 33, 32, 30]
        assert layer.keys.data_ptr() == address
