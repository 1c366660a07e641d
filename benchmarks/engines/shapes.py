"""The shapes of every published Whisper, with random weights.

They hear nothing: with them two programs are compared, never a text with speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpu_worker.models.weights.ctranslate2_file import Floats
from gpu_worker.models.weights.whisper import WhisperWeights, openai_name, usual_alignment_heads

SPREAD = 0.02  # standard deviation of embeddings and biases, as before training
VOCABULARY = 51_865


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one model (openai/whisper model.py, and config.json of the distilled ones)."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mels: int = 80
    vocabulary: int = VOCABULARY

    @property
    def parameters(self) -> int:
        """About how many numbers the model has."""
        layers = 12 * self.encoder_layers + 16 * self.decoder_layers
        return layers * self.width**2 + self.vocabulary * self.width

    def config(self) -> Any:
        """transformers' configuration."""
        from transformers import WhisperConfig

        return WhisperConfig(
            vocab_size=self.vocabulary,
            num_mel_bins=self.mels,
            d_model=self.width,
            encoder_layers=self.encoder_layers,
            encoder_attention_heads=self.heads,
            encoder_ffn_dim=4 * self.width,
            decoder_layers=self.decoder_layers,
            decoder_attention_heads=self.heads,
            decoder_ffn_dim=4 * self.width,
            pad_token_id=0,
        )


SHAPES = {
    "tiny.en": Shape(384, 6, 4, 4, vocabulary=51_864),
    "tiny": Shape(384, 6, 4, 4),
    "base.en": Shape(512, 8, 6, 6, vocabulary=51_864),
    "base": Shape(512, 8, 6, 6),
    "small.en": Shape(768, 12, 12, 12, vocabulary=51_864),
    "small": Shape(768, 12, 12, 12),
    "medium.en": Shape(1024, 16, 24, 24, vocabulary=51_864),
    "medium": Shape(1024, 16, 24, 24),
    "large-v2": Shape(1280, 20, 32, 32),
    "large-v3": Shape(1280, 20, 32, 32, mels=128, vocabulary=51_866),
    "large-v3-turbo": Shape(1280, 20, 32, 4, mels=128, vocabulary=51_866),
    "distil-small.en": Shape(768, 12, 12, 4, vocabulary=51_864),
    "distil-medium.en": Shape(1024, 16, 24, 2, vocabulary=51_864),
    "distil-large-v2": Shape(1280, 20, 32, 2),
    "distil-large-v3": Shape(1280, 20, 32, 2, mels=128, vocabulary=51_866),
}


def random_model(shape: Shape, seed: int = 0) -> tuple[WhisperWeights, Any]:
    """The same random weights for our network and in transformers' model, in the same memory."""
    from transformers import WhisperForConditionalGeneration

    with torch.device("meta"):
        model = WhisperForConditionalGeneration(shape.config())
    noise = np.random.default_rng(seed)
    state = {}
    for name, value in model.state_dict().items():
        if name == "proj_out.weight":
            continue
        state[name] = _filled(name, tuple(value.shape), noise)
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"]
    model.load_state_dict(tensors, assign=True)
    weights = WhisperWeights(
        {openai_name(name): value for name, value in state.items()},
        shape.heads,
        shape.heads,
        usual_alignment_heads(shape.decoder_layers, shape.heads),
        (),
        (),
    )
    return weights, model.eval()


def _filled(name: str, shape: tuple[int, ...], noise: np.random.Generator) -> Floats:
    """Numbers for a weight. Matrices keep the size of what they multiply, and positions are large.

    Smaller ones would leave each token's embedding as it is, and the model would repeat one token.
    """
    numbers = noise.standard_normal(shape, dtype=np.float32)
    if "layer_norm.weight" in name:
        return 1 + SPREAD * numbers
    if "embed_positions" in name:
        return numbers
    is_matrix = len(shape) > 1 and "embed" not in name
    numbers *= np.prod(shape[1:]) ** -0.5 if is_matrix else SPREAD
    return numbers
