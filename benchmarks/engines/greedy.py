"""Greedy texts in float32, by transformers and by our network, of the same features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gpu_worker.transcription.engines.torch_whisper.network import Network
from gpu_worker.transcription.engines.torch_whisper.rules import token_rules
from gpu_worker.transcription.engines.torch_whisper.writing import Assignment, Writer


@torch.inference_mode()
def by_transformers(
    model: Any,
    encoded: Tensor,
    prompt: Sequence[int],
    end: int,
    room: int,
    suppressed: Sequence[int] = (),
    at_begin: Sequence[int] = (),
) -> list[list[int]]:
    """What transformers' `generate` writes behind the prompt, without the token that ends it.

    `encoded` is a batch of encodings, (windows, 1500, width); `suppressed` and `at_begin` are
    tokens that may not be written, and not as the first one.
    """
    from transformers import GenerationConfig, GenerationMixin
    from transformers.modeling_outputs import BaseModelOutput

    states: Any = encoded  # it is annotated as a FloatTensor, which no tensor is
    config = GenerationConfig(
        max_new_tokens=room,
        do_sample=False,
        num_beams=1,
        decoder_start_token_id=prompt[0],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=list(suppressed) or None,
        begin_suppress_tokens=list(at_begin) or None,
    )
    # Whisper's own `generate` cuts sound into windows and adds prompts; the general one is below.
    written = GenerationMixin.generate(
        model,
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        decoder_input_ids=torch.tensor([list(prompt)] * len(encoded)),
        generation_config=config,
    )
    return [_until(end, row) for row in written[:, len(prompt) :].tolist()]


@torch.inference_mode()
def by_network(
    network: Network,
    encoded: Tensor,
    prompt: Sequence[int],
    end: int,
    room: int,
    suppressed: Sequence[int] = (),
    at_begin: Sequence[int] = (),
) -> list[list[int]]:
    """The same of our network."""
    writer = Writer(network.decoder, network.audio_positions, network.alignment_heads, end)
    rules = token_rules(suppressed, at_begin, network.vocabulary, network.device)
    assignment = Assignment(prompt, room, rules, 0.0, [0] * len(encoded))
    page = writer.begin([encoded])
    writer.write(page, assignment)
    return [list(text.tokens) for text in writer.read(page, assignment)]


def _until(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens
