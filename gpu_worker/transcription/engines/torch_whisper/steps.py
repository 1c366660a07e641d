"""Write the next token of every row: the part that a CUDA graph replays.

Everything is at a fixed address, and nothing depends on what a tensor holds: no row is looked at,
no shape changes. All rows of a batch have the same prompt, so they are at the same position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu_worker.transcription.engines.torch_whisper.decoder import Decoder
from gpu_worker.transcription.engines.torch_whisper.decoder_cache import Cache
from gpu_worker.transcription.engines.torch_whisper.sampling import choose, gumbel_noise


@dataclass(frozen=True, slots=True)
class Page:
    """What a batch reads and writes. `chosen` and the next two say what followed each position."""

    cache: Cache
    token: Tensor  # (rows, 1): the one that is read next
    position: Tensor  # (1,): its place in the text
    chosen: Tensor  # (slots, positions): tokens
    log_probabilities: Tensor  # among the tokens that may be written
    probabilities: Tensor  # among all tokens
    forbidden: Tensor  # (vocabulary,): added to all scores but the first
    temperature: Tensor  # (1,)
    seeds: Tensor  # (slots, 1): of the rows' chances


def new_page(
    decoder: Decoder, rows: int, audio_positions: int, heads: Sequence[tuple[int, int]]
) -> Page:
    """Make a page for so many rows; `heads` are the layers and heads that time words."""
    device = decoder.positional_embedding.device
    positions = len(decoder.positional_embedding)

    def numbers(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.long, device=device)

    def floats(*shape: int) -> Tensor:
        return torch.zeros(shape, device=device)

    return Page(
        cache=decoder.new_cache(rows, audio_positions, heads),
        token=numbers(rows, 1),
        position=numbers(1),
        chosen=numbers(rows, positions),
        log_probabilities=floats(rows, positions),
        probabilities=floats(rows, positions),
        forbidden=floats(decoder.token_embedding.num_embeddings),
        temperature=floats(1),
        seeds=numbers(rows, 1),
    )


def read_prompt(
    decoder: Decoder, page: Page, prompt: Sequence[int], rows: int, first: Tensor, *, draws: bool
) -> Tensor:
    """Read the prompt, the same for all rows, and write the first token behind it.

    `first` is added to the scores of that token. Returns the states behind each token of the
    prompt, (rows, places, width).
    """
    device = page.position.device
    positions = torch.arange(len(prompt), device=device)
    tokens = torch.tensor(prompt, device=device).expand(rows, -1)
    states: Tensor = decoder(tokens, positions, len(prompt), page.cache)
    page.position.fill_(len(prompt) - 1)
    _write(decoder, page, states[:, -1], first, draws)
    page.position.add_(1)
    return states


def step(decoder: Decoder, page: Page, rows: int, span: int, *, draws: bool) -> None:
    """Read the last token of the first rows, and write the next.

    `span` is as for `Decoder.forward`. With `draws` the token is drawn, at the temperature.
    """
    states = decoder(page.token[:rows], page.position, span, page.cache)
    _write(decoder, page, states[:, -1], page.forbidden, draws)
    page.position.add_(1)


def _write(decoder: Decoder, page: Page, states: Tensor, forbidden: Tensor, draws: bool) -> None:
    """Choose a token by states, (rows, width), and note it with its probabilities."""
    rows = len(states)
    slots = page.cache.slots[:rows]
    scores = decoder.scores(states)
    allowed = scores + forbidden
    noise = gumbel_noise(page.seeds[slots], page.position, scores.shape[-1]) if draws else None
    tokens = choose(allowed, page.temperature, noise)
    own = scores.gather(1, tokens[:, None])[:, 0]
    page.token[:rows, 0] = tokens
    page.chosen[slots, page.position] = tokens
    page.log_probabilities[slots, page.position] = own - allowed.logsumexp(dim=-1)
    page.probabilities[slots, page.position] = (own - scores.logsumexp(dim=-1)).exp()
