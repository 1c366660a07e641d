"""Which tokens may not be written, as numbers that are added to their scores.

Our prompts end with `<|notimestamps|>`, so openai/whisper's rules of timestamps are not needed, and
not built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Minus infinity for tokens that may not be written, else 0; each (vocabulary,)."""

    first: Tensor  # for the first token of a text
    later: Tensor


def token_rules(
    suppressed: Sequence[int], at_begin: Sequence[int], vocabulary: int, device: str
) -> TokenRules:
    """Forbid the tokens of `suppressed`, and for the first token those of `at_begin` too."""
    later = torch.zeros(vocabulary)
    later[list(suppressed)] = -torch.inf
    first = later.clone()
    first[list(at_begin)] = -torch.inf
    return TokenRules(first.to(device), later.to(device))


def no_rules(vocabulary: int, device: str) -> TokenRules:
    """Allow every token."""
    return token_rules((), (), vocabulary, device)
