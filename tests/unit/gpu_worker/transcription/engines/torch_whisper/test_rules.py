"""Tokens that may not be written have no chance."""

from __future__ import annotations

import pytest
import torch

from gpu_worker.transcription.engines.torch_whisper.rules import no_rules, token_rules

pytestmark = pytest.mark.slow  # it imports torch


def test_the_first_token_has_more_rules_than_the_later_ones() -> None:
    rules = token_rules([1, 3], [0], 5, "cpu")
    scores = torch.ones(5)
    assert (scores + rules.later).isinf().tolist() == [False, True, False, True, False]
    assert (scores + rules.first).isinf().tolist() == [True, True, False, True, False]


def test_without_rules_every_token_may_be_written() -> None:
    rules = no_rules(4, "cpu")
    assert rules.first.tolist() == rules.later.tolist() == [0.0] * 4
