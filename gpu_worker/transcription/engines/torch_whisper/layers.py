"""What encoder and decoder are built of, as in openai/whisper's model.py.

The projections of queries, keys and values are one matrix where all three read the same input:
one large product is quicker than three.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """The projections of an attention in which each place reads the others of its own row."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.joined = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project (rows, places, width) to queries, keys and values.

        Each has shape (rows, heads, places, width / heads).
        """
        queries, keys, values = self.joined(x).chunk(3, dim=-1)
        return split(queries, self.heads), split(keys, self.heads), split(values, self.heads)


class CrossAttention(nn.Module):
    """The projections of an attention in which text reads sound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)


def split(x: Tensor, heads: int) -> Tensor:
    """Cut the width into heads: (rows, places, width) to (rows, heads, places, width / heads)."""
    rows, places, width = x.shape
    return x.view(rows, places, heads, width // heads).transpose(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return what the queries read, (rows, places, width), with the heads joined again.

    `scaled_dot_product_attention` takes the fastest way that the device has, such as flash
    attention. `mask` is True where a query may read.
    """
    if mask is None and queries.dtype == torch.bfloat16 and not queries.is_cuda:
        # On a CPU that has bfloat16, plain products take half the time (docs/torch_engine.md).
        chances = (queries * keys.shape[-1] ** -0.5 @ keys.transpose(2, 3)).softmax(dim=-1)
        read: Tensor = chances @ values
    else:
        read = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return read.transpose(1, 2).flatten(2)


def feed_forward(width: int) -> nn.Sequential:
    """Make the two layers behind each attention."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def joined_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join the self-attentions' matrices of openai/whisper's weights, for `SelfAttention`.

    Whisper's keys have no bias, so a bias of zeros is put there.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        start, attention, end = name.partition(".attn.")
        if not attention or end.startswith("out."):
            found[name] = value
        elif end == "query.weight":
            own = [f"{start}.attn.{part}" for part in ("query", "key", "value")]
            biases = [
                state[f"{own[0]}.bias"], torch.zeros_like(state[f"{own[0]}.bias"]),
                state[f"{own[2]}.bias"],
            ]  # fmt: skip
            found[f"{start}.attn.joined.weight"] = torch.cat([state[f"{p}.weight"] for p in own])
            found[f"{start}.attn.joined.bias"] = torch.cat(biases)
    return found
