"""What one training step of pico looks at: tensors of a batch, and the losses.

Knows the tokenizer and Whisper's front end; no optimizer, no files.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch.nn import functional

from scripts.pico import tokenizer as tokens
from scripts.pico.export import GUIDED_HEADS
from scripts.pico.windows import Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformers import WhisperForConditionalGeneration

FRAMES_PER_SECOND = 100  # of features; the encoder halves them
GUIDE_MARGIN = 0.25  # seconds around a word in which attention counts
LABEL_SMOOTHING = 0.05
IGNORE = -100  # label of a position that is not learned


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows as tensors; B windows, F frames, T tokens."""

    features: Tensor  # B, 80, F
    inputs: Tensor  # B, T: the decoder's tokens
    labels: Tensor  # B, T: the token that follows each, or IGNORE
    spans: Tensor  # B, T, 2: seconds in which the label is spoken, or NaN
    texts: list[list[int]]  # the text tokens alone, for CTC


def batch_of(windows: list[Window], seconds: float, tokenizer: Tokenizer) -> Batch:
    """The windows as faster-whisper would feed them, padded with zeros after the features."""
    frames = int(seconds * FRAMES_PER_SECOND)
    features = np.zeros((len(windows), 80, frames), np.float32)
    extract = FeatureExtractor()
    rows = []
    for row, window in enumerate(windows):
        heard = extract(window.samples)[:, :frames]
        features[row, :, : heard.shape[1]] = heard
        rows.append(_row(window, tokenizer))
    longest = max(len(row[0]) for row in rows)
    end = tokens.token_id(tokenizer, tokens.END)
    inputs = torch.full((len(rows), longest), end)
    labels = torch.full((len(rows), longest), IGNORE)
    spans = torch.full((len(rows), longest, 2), math.nan)
    for row, (given, following, times, _) in enumerate(rows):
        inputs[row, : len(given)] = torch.tensor(given)
        labels[row, : len(given)] = torch.tensor(following)
        spans[row, : len(given)] = torch.tensor(times)
    return Batch(torch.from_numpy(features), inputs, labels, spans, [row[3] for row in rows])


def _row(
    window: Window, tokenizer: Tokenizer
) -> tuple[list[int], list[int], list[tuple[float, float]], list[int]]:
    """Inputs, labels, spans and text tokens of one window.

    The first position learns the language, or that there is no speech.
    """
    text: list[int] = []
    times: list[tuple[float, float]] = []
    for placed in window.words:
        piece = tokenizer.encode(" " + placed.word).ids
        text += piece
        times += [(placed.start, placed.end)] * len(piece)
    language = f"<|{window.language}|>"
    heads = [tokens.START, language, tokens.TRANSCRIBE, tokens.NO_TIMESTAMPS]
    prompt = [tokens.token_id(tokenizer, name) for name in heads]
    first = tokens.token_id(tokenizer, language if text else tokens.NO_SPEECH)
    silent = (math.nan, math.nan)
    return (
        prompt + text,
        [first, IGNORE, IGNORE, *text, tokens.token_id(tokenizer, tokens.END)],
        [silent] * 3 + times + [silent],
        text,
    )


def encode(model: WhisperForConditionalGeneration, features: Tensor) -> Tensor:
    """The encoder on a window of any length: B, F/2, 128 (its own forward insists on 30 s)."""
    encoder = model.model.encoder
    hidden = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(features))))
    hidden = hidden.permute(0, 2, 1)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
    return encoder.layer_norm(hidden)


def ctc_loss(listened: Tensor, texts: list[list[int]]) -> Tensor:
    """CTC of the encoder's own guess, a token; the last class is the blank."""
    lengths = torch.tensor([len(text) for text in texts])
    return functional.ctc_loss(
        listened.log_softmax(-1).transpose(0, 1),
        torch.tensor(list(itertools.chain.from_iterable(texts)), dtype=torch.long),
        torch.full_like(lengths, listened.shape[1]),
        lengths,
        blank=listened.shape[-1] - 1,
        reduction="sum",
        zero_infinity=True,
    ) / lengths.sum().clamp(min=1)


def guide_loss(attention: Tensor, spans: Tensor) -> Tensor:
    """-log of the attention of the guided heads that falls near the word; B, heads, T, F/2."""
    seconds = torch.arange(attention.shape[-1]) * 2 / FRAMES_PER_SECOND
    near = (seconds >= spans[..., :1] - GUIDE_MARGIN) & (seconds <= spans[..., 1:] + GUIDE_MARGIN)
    mass = (attention[:, list(GUIDED_HEADS)] * near.unsqueeze(1)).sum(-1)
    spoken = ~spans[..., 0].isnan().unsqueeze(1).expand_as(mass)
    return -(mass[spoken] + 1e-6).log().sum() / spoken.sum().clamp(min=1)


def losses(
    model: WhisperForConditionalGeneration, ctc: torch.nn.Linear, batch: Batch, detach: bool
) -> dict[str, Tensor]:
    """The three losses, and the share of tokens that were right."""
    heard = encode(model, batch.features)
    decoded = model.model.decoder(
        input_ids=batch.inputs, encoder_hidden_states=heard, output_attentions=True
    )
    scores = model.proj_out(decoded.last_hidden_state).flatten(0, 1)
    wanted = batch.labels.flatten()
    learned = wanted != IGNORE
    return {
        "text": functional.cross_entropy(
            scores, wanted, ignore_index=IGNORE, label_smoothing=LABEL_SMOOTHING
        ),
        "ctc": ctc_loss(ctc(heard.detach() if detach else heard), batch.texts),
        "guide": guide_loss(decoded.cross_attentions[-1], batch.spans),
        "right": (scores.argmax(-1) == wanted)[learned].float().mean(),
    }
