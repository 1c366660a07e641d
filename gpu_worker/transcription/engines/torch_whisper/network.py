"""Encoder and decoder with a model's weights, on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.transcription.engines.torch_whisper.decoder import Decoder
from gpu_worker.transcription.engines.torch_whisper.encoder import Encoder
from gpu_worker.transcription.engines.torch_whisper.layers import joined_projections
from gpu_worker.transcription.engines.torch_whisper.packed import pack
from gpu_worker.transcription.engines.torch_whisper.precision import Precision


class SoundEncoder(Protocol):
    """What encodes: `Encoder`, or `OnnxEncoder` in its place."""

    @property
    def kind(self) -> torch.dtype:
        """The type of the features that it takes."""

    def __call__(self, mel: Tensor, /) -> Any:
        """Encode features, (windows, mels, 3000), to states, (windows, 1500, width)."""


@dataclass(frozen=True, slots=True)
class Network:
    """One model."""

    encoder: SoundEncoder
    decoder: Decoder
    alignment_heads: tuple[tuple[int, int], ...]  # that time words, as layer and head
    suppressed_at_begin: tuple[int, ...]
    mels: int
    audio_positions: int
    text_positions: int
    vocabulary: int
    device: str

    def encode(self, mel: Tensor) -> Tensor:
        """Encode features, (windows, mels, 3000), for the decoder: (windows, 1500, width).

        On a CPU each window is encoded alone: a batch is no faster there (docs/speed.md), takes
        more memory, and might make a window's encoding depend on its neighbours.
        """
        mel = mel.to(self.encoder.kind)
        groups = mel.split(1 if self.device == "cpu" else len(mel))
        encoded = torch.cat([self.encoder(group) for group in groups])
        return encoded.to(self.decoder.positional_embedding.dtype)


def build_network(
    weights: WhisperWeights,
    precision: Precision,
    device: str,
    encoder: SoundEncoder | None = None,
) -> Network:
    """Put a model's weights into a network, or take an encoder that has them already.

    Raises KeyError or RuntimeError for weights of other models.
    """
    sizes = weights.dimensions
    if encoder is None:
        own_encoder = build_encoder(weights, precision.encoder, device)
        if device == "cpu":
            pack(own_encoder)
        encoder = own_encoder
    with torch.device("meta"):  # no memory, no numbers by chance: the weights replace them
        decoder = Decoder(
            sizes["n_vocab"], sizes["n_text_ctx"], sizes["n_text_state"],
            sizes["n_text_head"], sizes["n_text_layer"],
        )  # fmt: skip
    own = _part(weights, "decoder.")
    own["projection.weight"] = own["token_embedding.weight"]
    _fill(decoder, own, precision.decoder, device)
    if device == "cpu":
        pack(decoder)
    return Network(
        encoder=encoder,
        decoder=decoder,
        alignment_heads=weights.alignment_heads,
        suppressed_at_begin=weights.suppressed_at_begin,
        mels=sizes["n_mels"],
        audio_positions=sizes["n_audio_ctx"],
        text_positions=sizes["n_text_ctx"],
        vocabulary=sizes["n_vocab"],
        device=device,
    )


def build_encoder(weights: WhisperWeights, kind: torch.dtype, device: str) -> Encoder:
    """Put a model's weights into an encoder, whose linear layers are not packed yet."""
    sizes = weights.dimensions
    with torch.device("meta"):
        encoder = Encoder(
            sizes["n_mels"], sizes["n_audio_ctx"], sizes["n_audio_state"],
            sizes["n_audio_head"], sizes["n_audio_layer"],
        )  # fmt: skip
    _fill(encoder, _part(weights, "encoder."), kind, device)
    return encoder


def _part(weights: WhisperWeights, prefix: str) -> dict[str, Tensor]:
    own = {
        name.removeprefix(prefix): torch.from_numpy(value)
        for name, value in weights.state.items()
        if name.startswith(prefix)
    }
    return joined_projections(own)


def _fill(part: nn.Module, own: Mapping[str, Tensor], kind: torch.dtype, device: str) -> None:
    part.load_state_dict({name: x.to(device, kind) for name, x in own.items()}, assign=True)
    part.requires_grad_(False).eval()
