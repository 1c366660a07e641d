"""The decoder: from tokens, and what was said, to the scores of the next token.

It is called with the whole prompt, and then with one token at a time. Both are the same code. What
it has seen is in the cache, so nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache, LayerCache
from gpu_worker.transcription.engines.torch_whisper.layers import (
    CrossAttention,
    SelfAttention,
    attend,
    feed_forward,
    split,
)


class DecoderLayer(nn.Module):
    """Text reads the text before it, then the sound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn_ln = nn.LayerNorm(width)
        self.attn = SelfAttention(width, heads)
        self.cross_attn_ln = nn.LayerNorm(width)
        self.cross_attn = CrossAttention(width, heads)
        self.mlp_ln = nn.LayerNorm(width)
        self.mlp = feed_forward(width)

    def forward(
        self, x: Tensor, positions: Tensor, mask: Tensor, cache: LayerCache, slots: Tensor
    ) -> Tensor:
        """Shape (rows, places, width), in and out; see `Decoder.forward`."""
        rows, span = len(x), mask.shape[-1]
        queries, keys, values = self.attn.project(self.attn_ln(x))
        cache.keys[:rows].index_copy_(2, positions, keys)
        cache.values[:rows].index_copy_(2, positions, values)
        seen = cache.keys[:rows, :, :span], cache.values[:rows, :, :span]
        x = x + self.attn.out(attend(queries, *seen, mask))

        queries = split(self.cross_attn.query(self.cross_attn_ln(x)), self.cross_attn.heads)
        if len(cache.heads):  # of this layer, so it is the same in every step
            kept = queries[:, cache.heads].transpose(1, 2)
            cache.queries[slots[:rows, None], positions] = kept
        heard = cache.cross_keys[:rows], cache.cross_values[:rows]
        x = x + self.cross_attn.out(attend(queries, *heard))
        return x + self.mlp(self.mlp_ln(x))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """The layers, between a token's embedding and the scores of all tokens."""

    def __init__(
        self, vocabulary: int, positions: int, width: int, heads: int, layers: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(positions, width))
        self.blocks = nn.ModuleList(DecoderLayer(width, heads) for _ in range(layers))
        self.ln = nn.LayerNorm(width)
        self.projection = nn.Linear(width, vocabulary, bias=False)  # the embedding once more

    def forward(self, tokens: Tensor, positions: Tensor, span: int, cache: Cache) -> Tensor:
        """Return the states, (rows, places, width), behind tokens, (rows, places).

        `positions`, (places,), are the tokens' places in the text, the same for all rows. `span`
        is how much of the text is read, at least up to the last of the positions. Keys, values,
        and the queries of the heads that time words, are written to the cache.
        """
        x = self.token_embedding(tokens) + self.positional_embedding[positions]
        mask = torch.arange(span, device=x.device) <= positions[:, None]
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = block(x, positions, mask, layer, cache.slots)
        return self.ln(x)  # type: ignore[no-any-return]

    def scores(self, states: Tensor) -> Tensor:
        """Return the score of each token to be the next, (…, vocabulary), as float32."""
        return self.projection(states).float()  # type: ignore[no-any-return]

    def hear(self, encoded: Tensor, rows: slice, cache: Cache) -> None:
        """Write the keys and values of sound, (windows, 1500, width), to rows of the cache.

        They are computed once, and read in every step.
        """
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            cross: CrossAttention = block.cross_attn  # type: ignore[assignment]
            layer.cross_keys[rows] = split(cross.key(encoded), self.heads)
            layer.cross_values[rows] = split(cross.value(encoded), self.heads)

    def new_cache(self, rows: int, audio_positions: int, heads: Sequence[tuple[int, int]]) -> Cache:
        """Make a cache of so many rows; `heads` are the layers and heads that time words."""
        weight = self.positional_embedding
        positions, width = weight.shape[0], weight.shape[1] // self.heads

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=weight.dtype, device=weight.device)

        def zeros(*shape: int) -> Tensor:
            # Of text, places are read that are not written yet. A mask hides all that is there,
            # but not NaN.
            return empty(*shape).zero_()

        text = (rows, self.heads, positions, width)
        sound = (rows, self.heads, audio_positions, width)
        layers = []
        for index in range(len(self.blocks)):
            own = [head for layer, head in heads if layer == index]
            chosen = torch.tensor(own, dtype=torch.long, device=weight.device)
            queries = zeros(rows if own else 0, positions, len(own), width)
            layers.append(
                LayerCache(
                    zeros(*text), zeros(*text), empty(*sound), empty(*sound), chosen, queries
                )
            )
        return Cache(tuple(layers), torch.arange(rows, device=weight.device))
