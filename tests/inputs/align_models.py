"""Small align models with random weights, of each kind that there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torchaudio import pipelines
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

LETTERS = ("[PAD]", "[UNK]", "|", *"abcdefghijklmnopqrstuvwxyz'")
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)  # wav2vec2's own


def hub_model(
    directory: Path, *, norm: str = "group", stable: bool = False, separator: str = "|"
) -> Path:
    """Write a Wav2Vec2ForCTC: `group` normalises over the whole window, `layer` does not."""
    letters = [separator if letter == "|" else letter for letter in LETTERS]
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(LETTERS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        feat_extract_norm=norm,
        do_stable_layer_norm=stable,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        initializer_range=0.5,
        pad_token_id=0,
    )
    Wav2Vec2ForCTC(config).save_pretrained(directory)
    vocabulary = directory / "vocab.json"
    vocabulary.write_text(json.dumps({letter: index for index, letter in enumerate(letters)}))
    tokenizer = Wav2Vec2CTCTokenizer(
        str(vocabulary),
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token=None,
        eos_token=None,
        word_delimiter_token=separator,
    )
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(directory)
    return directory


class SmallBundle(pipelines.Wav2Vec2ASRBundle):
    """A bundle that downloads nothing."""

    def _get_state_dict(self, dl_kwargs: object) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        from torchaudio.models import wav2vec2_model

        weights = wav2vec2_model(**self._params).state_dict()
        return {name: value + torch.randn_like(value) * 0.3 for name, value in weights.items()}


def register_bundle(
    monkeypatch: pytest.MonkeyPatch, torch_home: Path, name: str, *, normalised: bool
) -> None:
    """Add a bundle to torchaudio for the time of a test, as if it had been fetched."""
    fetched = torch_home / "hub" / "checkpoints" / "none"
    fetched.parent.mkdir(parents=True)
    fetched.touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(torch_home / "hub"))
    params = {
        "extractor_mode": "layer_norm" if normalised else "group_norm",
        "extractor_conv_layer_config": [(16, *conv) for conv in zip(KERNELS, STRIDES, strict=True)],
        "extractor_conv_bias": normalised,
        "encoder_embed_dim": 32,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 16,
        "encoder_pos_conv_groups": 4,
        "encoder_num_layers": 2,
        "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_features": 64,
        "encoder_ff_interm_dropout": 0.1,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": normalised,
        "encoder_layer_drop": 0.1,
        "aux_num_out": 29,
    }
    labels = ("|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
    bundle = SmallBundle(
        _path="none",
        _params=params,
        _sample_rate=16_000,
        _normalize_waveform=normalised,
        _model_type="Wav2Vec2",
        _labels=labels,
    )
    monkeypatch.setattr(pipelines, name, bundle, raising=False)
    monkeypatch.setattr(pipelines, "__all__", [*pipelines.__all__, name])
