"""A Whisper of the Hugging Face form gives the weights of its CTranslate2 form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpu_worker.builtin import PICO
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.models.weights.safetensors_whisper import read_safetensors

pytestmark = pytest.mark.slow  # it imports torch

FLOAT = PICO / "float"


def test_both_forms_of_pico_are_one_model() -> None:
    exact, quantized = read_whisper(FLOAT), read_whisper(PICO)
    assert exact.dimensions == quantized.dimensions
    assert exact.state.keys() == quantized.state.keys()
    for name, value in exact.state.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(quantized.state[name], value, atol=0.02)


def test_names_come_back_from_those_of_transformers() -> None:
    weights = read_whisper(FLOAT)
    theirs = weights.transformers_state()
    assert "model.encoder.layers.0.self_attn_layer_norm.weight" in theirs
    assert "model.decoder.layers.1.encoder_attn.q_proj.bias" in theirs
    assert len(theirs) == len(weights.state) + 1


def test_heads_and_rules_are_those_of_the_generation_config(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(FLOAT / name)
    assert read_safetensors(tmp_path).alignment_heads == tuple((1, head) for head in range(4))
    rules = {"alignment_heads": [[1, 0]], "suppress_tokens": [3], "begin_suppress_tokens": [4, 5]}
    (tmp_path / "generation_config.json").write_text(json.dumps(rules))
    found = read_safetensors(tmp_path)
    assert found.alignment_heads == ((1, 0),)
    assert (found.suppressed, found.suppressed_at_begin) == ((3,), (4, 5))


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="holds a bert, no Whisper"):
        read_whisper(tmp_path)
