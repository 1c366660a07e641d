"""Tokens are drawn with the chances that they should have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpu_worker.transcription.engines.torch_whisper.sampling import choose, gumbel_noise, seed

pytestmark = pytest.mark.slow  # it imports torch


def test_without_noise_the_likeliest_token_is_chosen() -> None:
    scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, -torch.inf, 1.0]])
    assert choose(scores, torch.zeros(1), None).tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_draws_follow_the_softmax_of_scores_over_temperature(temperature: float) -> None:
    scores = torch.tensor([0.0, 1.0, 2.0, -torch.inf, 0.5])
    count = 40_000
    noise = gumbel_noise(torch.arange(count)[:, None], torch.tensor([3]), 5)
    drawn = choose(scores.expand(count, -1), torch.tensor([temperature]), noise)
    shares = np.bincount(drawn.numpy(), minlength=5) / count
    np.testing.assert_allclose(shares, (scores / temperature).softmax(0).numpy(), atol=0.01)


def test_noise_is_finite_and_differs_by_row_position_and_token() -> None:
    seeds = torch.tensor([[5], [6], [0xFFFFFFFF]])
    noise = gumbel_noise(seeds, torch.tensor([9]), 51_866)
    assert bool(noise.isfinite().all())
    assert abs(float(noise.mean()) - 0.5772) < 0.01  # Euler's constant, a Gumbel's mean
    assert not torch.equal(noise, gumbel_noise(seeds, torch.tensor([10]), 51_866))
    assert torch.equal(noise[1:2], gumbel_noise(seeds[1:2], torch.tensor([9]), 51_866))
    assert abs(float(torch.corrcoef(noise[:2])[0, 1])) < 0.02


def test_a_seed_is_of_the_sound_the_candidate_and_the_temperature() -> None:
    sound = np.ones(10, np.float32)
    seeds = {seed(sound, 0, 0.2), seed(sound, 1, 0.2), seed(sound, 0, 0.4), seed(-sound, 0, 0.2)}
    assert len(seeds) == 4
    assert seed(sound.copy(), 0, 0.2) in seeds
