"""Tokens begin where the heads that time words begin to look at them."""

from __future__ import annotations

import pytest
import torch

from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache, LayerCache
from gpu_worker.transcription.engines.torch_whisper.timing import Place, time_tokens
from gpu_worker.transcription.engines.torch_whisper.writing import Written

pytestmark = pytest.mark.slow  # it imports torch

FRAMES = 100  # 2 s
# The tokens of the prompt and of the text, and the frame at which each begins to be looked at.
BEGINS = (0, 0, 0, 20, 55, 90)
END = 50


@pytest.fixture
def cache() -> Cache:
    """One layer with one head: each position looks at the frames up to where the next begins."""
    keys = torch.eye(FRAMES)[None, None]
    queries = torch.zeros(1, 12, 1, FRAMES)
    for position, (begin, stop) in enumerate(zip(BEGINS, (*BEGINS[1:], FRAMES), strict=True)):
        queries[0, position, 0, begin : max(stop, begin + 1)] = 60.0
    text = torch.zeros(1, 1, 12, FRAMES)
    return Cache((LayerCache(text, text, keys, keys, torch.tensor([0]), queries),), torch.arange(1))


def test_times_are_those_of_the_frames(cache: Cache) -> None:
    written = Written((7, 8, 9), -1.0, (0.9, 0.8, 0.7))
    times = time_tokens(cache, Place(0, 0, 0, 2), written, END, 2.0, 0.0)
    assert times.edges == pytest.approx([0.0, 0.4, 1.1, 1.8], abs=0.081)
    assert times.probabilities == [0.9, 0.8, 0.7]


def test_a_token_that_is_no_text_has_no_time_and_an_offset_moves_all(cache: Cache) -> None:
    written = Written((7, END + 1, 9), -1.0, (0.9, 0.8, 0.7))
    times = time_tokens(cache, Place(0, 0, 0, 2), written, END, 2.0, -0.1)
    assert times.edges == pytest.approx([0.0, 1.0, 1.7], abs=0.081)
    assert times.probabilities == [0.9, 0.7]
