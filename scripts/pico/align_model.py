"""pico-align: its shape, its characters, and the directory it is loaded from.

A Wav2Vec2ForCTC whose first layer starts as a bank of filters, so that a short
training suffices. The directory is what `transformers` and whisperX load.
Knows nothing of speech or training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

BLANK, SEPARATOR = "[PAD]", "|"
CHARACTERS = (BLANK, "[UNK]", SEPARATOR, *"abcdefghijklmnopqrstuvwxyz'áéíóúüñ")
IDS = {character: number for number, character in enumerate(CHARACTERS)}

FRAME_SAMPLES = 320  # from one frame to the next
FIRST_FRAME_SAMPLES = 400  # that the first one needs, as in every wav2vec2
BANDS = 40  # each has four filters: cosine and sine, and both upside down
LOWEST, HIGHEST = 80.0, 7_600.0  # Hz, the middle of the first band and of the last
KERNEL = 240  # samples


def new_model() -> Wav2Vec2ForCTC:
    """pico-align with random weights behind its filters.

    Two convolutions instead of wav2vec2's seven, with the same frames: 80 × 4
    samples from one to the next, 240 + 2 × 80 samples in each.
    """
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(CHARACTERS),
            pad_token_id=IDS[BLANK],
            bos_token_id=None,
            eos_token_id=None,
            conv_dim=(4 * BANDS, 128),
            conv_kernel=(KERNEL, 3),
            conv_stride=(80, 4),
            conv_bias=True,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=512,
            num_conv_pos_embeddings=64,
            num_conv_pos_embedding_groups=8,
            hidden_dropout=0.05,
            attention_dropout=0.0,
            activation_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=0.0,
            layerdrop=0.0,
            apply_spec_augment=False,
            ctc_loss_reduction="mean",
            ctc_zero_infinity=True,
        )
    )
    _set_filters(model)
    return model


def frames(samples: int) -> int:
    """How many frames the model makes of so many samples."""
    return max(0, (samples - FIRST_FRAME_SAMPLES) // FRAME_SAMPLES + 1)


def _set_filters(model: Wav2Vec2ForCTC) -> None:
    """Start the first layer as pairs of filters on the mel scale, shorter for higher bands.

    Pairs upside down, because the activation after them passes only one sign. Higher
    bands are louder, as speech is weaker there. The biases are the level of near-silence.
    """
    mels = torch.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS)
    middles = 700 * (10 ** (mels / 2595) - 1)
    times = (torch.arange(KERNEL) - (KERNEL - 1) / 2) / 16_000  # s
    widths = (2.0 / (24.7 + 0.108 * middles)).clamp(max=KERNEL / 16_000)[:, None]
    window = torch.where(
        times.abs() < widths / 2, 0.5 + 0.5 * torch.cos(2 * math.pi * times / widths), 0.0
    )
    phases = 2 * math.pi * middles[:, None] * times
    filters = torch.cat([window * torch.cos(phases), window * torch.sin(phases)])
    filters = filters / filters.norm(dim=1, keepdim=True)
    filters = filters * (middles / 1_000).repeat(2)[:, None] ** 0.6
    layer: Any = model.wav2vec2.feature_extractor.conv_layers[0]
    with torch.no_grad():
        layer.conv.weight.copy_(torch.cat([filters, -filters])[:, None])
        layer.conv.bias.uniform_(-0.02, 0.02)
        layer.layer_norm.weight.fill_(2.0)


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def load(directory: Path) -> Wav2Vec2ForCTC:
    """The model that `export` wrote, in float32."""
    config = Wav2Vec2Config.from_json_file(directory / "config.json")
    model = Wav2Vec2ForCTC(config)
    weights = load_file(directory / "model.safetensors")
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model


def export(model: Wav2Vec2ForCTC, out: Path) -> None:
    """Write weights in float16, configuration, characters and processor under `out`."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # safetensors makes it private
    # The type is the one in memory: halves are only how the file keeps the weights.
    shape = {**model.config.to_diff_dict(), "dtype": "float32", "torch_dtype": "float32"}
    shape["architectures"] = ["Wav2Vec2ForCTC"]
    shape["layerdrop"] = 0.0
    _write(out / "config.json", shape)
    _write(out / "vocab.json", IDS)
    _write(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
            "unk_token": "[UNK]",
            "pad_token": BLANK,
            "bos_token": None,
            "eos_token": None,
            "word_delimiter_token": SEPARATOR,
            "do_lower_case": False,
        },
    )
    _write(
        out / "preprocessor_config.json",
        {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "processor_class": "Wav2Vec2Processor",
            "feature_size": 1,
            "sampling_rate": 16_000,
            "padding_side": "right",
            "padding_value": 0.0,
            "do_normalize": False,
            "return_attention_mask": False,
        },
    )


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
