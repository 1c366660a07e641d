"""The encoder: from log-mel features of 30 s to 1500 states, one for every 20 ms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_worker.transcription.engines.torch_whisper.layers import (
    SelfAttention,
    attend,
    feed_forward,
)


class EncoderLayer(nn.Module):
    """Sound reads sound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn_ln = nn.LayerNorm(width)
        self.attn = SelfAttention(width, heads)
        self.mlp_ln = nn.LayerNorm(width)
        self.mlp = feed_forward(width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (windows, 1500, width), in and out."""
        x = x + self.attn.out(attend(*self.attn.project(self.attn_ln(x))))
        return x + self.mlp(self.mlp_ln(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Two convolutions, of which the second halves the frames, and the layers."""

    def __init__(self, mels: int, positions: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.empty(positions, width))
        self.blocks = nn.ModuleList(EncoderLayer(width, heads) for _ in range(layers))
        self.ln_post = nn.LayerNorm(width)

    @property
    def kind(self) -> torch.dtype:
        """The type of the features that it takes."""
        return self.conv1.weight.dtype

    def forward(self, mel: Tensor) -> Tensor:
        """Encode features, (windows, mels, 3000), to states, (windows, 1500, width)."""
        x = functional.gelu(self.conv1(mel))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)  # type: ignore[no-any-return]
