"""Read a Whisper of the Hugging Face form: `model.safetensors` and `config.json`.

`generation_config.json` may stand beside them; it names the heads that time words, and the tokens
that are never written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpu_worker.models.weights.ctranslate2_file import Floats
from gpu_worker.models.weights.whisper import (
    WhisperWeights,
    openai_name,
    usual_alignment_heads,
)

FILE = "model.safetensors"
_TIED = "proj_out.weight"  # the token embedding once more


def read_safetensors(directory: Path) -> WhisperWeights:
    """Read the directory's model. Raises OSError, or ValueError if it is no Whisper."""
    config = _read_json(directory / "config.json")
    if config.get("model_type") != "whisper":
        raise ValueError(f"{directory} holds a {config.get('model_type')}, no Whisper.")
    rules = config | _read_json(directory / "generation_config.json")
    heads = rules.get("alignment_heads") or usual_alignment_heads(
        config["decoder_layers"], config["decoder_attention_heads"]
    )
    return WhisperWeights(
        _read_state(directory / FILE),
        config["encoder_attention_heads"],
        config["decoder_attention_heads"],
        tuple((layer, head) for layer, head in heads),
        tuple(rules.get("suppress_tokens") or ()),
        tuple(rules.get("begin_suppress_tokens") or ()),
    )


def _read_state(path: Path) -> dict[str, Floats]:
    from safetensors import safe_open  # with torch: numpy has no bfloat16

    with safe_open(path, framework="pt") as file:
        return {
            openai_name(name): file.get_tensor(name).float().numpy()
            for name in file.keys()  # noqa: SIM118 - it is no mapping
            if name != _TIED
        }


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
