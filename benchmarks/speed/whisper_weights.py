"""The weights of a CTranslate2 Whisper under the names of openai/whisper and of transformers.

CTranslate2 joins the projections of queries, keys and values into one matrix; here they are parted
again. Its keys have a bias of zeros that Whisper has not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.speed.ctranslate2_weights import Floats, read_weights

# The names of openai/whisper and those of transformers; longer ones stand before their parts.
_TRANSFORMERS = (
    ("blocks", "layers"),
    ("cross_attn_ln", "encoder_attn_layer_norm"),
    ("attn_ln", "self_attn_layer_norm"),
    ("mlp_ln", "final_layer_norm"),
    ("cross_attn.", "encoder_attn."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    ("ln_post", "layer_norm"),
    ("decoder.ln.", "decoder.layer_norm."),
    ("token_embedding", "embed_tokens"),
    ("positional_embedding", "embed_positions.weight"),
)


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """One model: weights by openai/whisper's names, its sizes, and CTranslate2's `config.json`."""

    state: dict[str, Floats]
    encoder_heads: int
    decoder_heads: int
    alignment_heads: tuple[tuple[int, int], ...]  # layer and head
    suppressed: tuple[int, ...]
    suppressed_at_begin: tuple[int, ...]

    @property
    def dimensions(self) -> dict[str, int]:
        """The arguments of openai/whisper's ModelDimensions."""
        state = self.state
        width, mels, _ = state["encoder.conv1.weight"].shape
        vocabulary, text_width = state["decoder.token_embedding.weight"].shape
        return {
            "n_mels": mels,
            "n_audio_ctx": len(state["encoder.positional_embedding"]),
            "n_audio_state": width,
            "n_audio_head": self.encoder_heads,
            "n_audio_layer": _layers(state, "encoder"),
            "n_vocab": vocabulary,
            "n_text_ctx": len(state["decoder.positional_embedding"]),
            "n_text_state": text_width,
            "n_text_head": self.decoder_heads,
            "n_text_layer": _layers(state, "decoder"),
        }

    def transformers_state(self) -> dict[str, Floats]:
        """The weights by the names of transformers' WhisperForConditionalGeneration."""
        found = {}
        for name, value in self.state.items():
            for ours, theirs in _TRANSFORMERS:
                name = name.replace(ours, theirs)
            found[f"model.{name}"] = value
        return found | {"proj_out.weight": self.state["decoder.token_embedding.weight"]}


def read_whisper(directory: Path) -> WhisperWeights:
    """Read `model.bin` and `config.json`. Raises ValueError if the model is no Whisper."""
    weights = read_weights(directory / "model.bin")
    if weights.specification != "WhisperSpec":
        raise ValueError(f"{directory} holds a {weights.specification}, no Whisper.")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    heads = weights.variables
    return WhisperWeights(
        openai_state(weights.floats()),
        int(heads["encoder/num_heads"]),
        int(heads["decoder/num_heads"]),
        tuple((layer, head) for layer, head in config["alignment_heads"]),
        tuple(config["suppress_ids"]),
        tuple(config["suppress_ids_begin"]),
    )


def openai_state(floats: Mapping[str, Floats]) -> dict[str, Floats]:
    """CTranslate2's weights under openai/whisper's names."""
    found = {
        "decoder.token_embedding.weight": floats["decoder/embeddings/weight"],
        **_norm(floats, "encoder/layer_norm", "encoder.ln_post"),
        **_norm(floats, "decoder/layer_norm", "decoder.ln"),
    }
    for name in ("conv1", "conv2"):
        found |= dict(_linear(floats, f"encoder/{name}", f"encoder.{name}"))
    for part in ("encoder", "decoder"):
        found[f"{part}.positional_embedding"] = floats[f"{part}/position_encodings/encodings"]
        layer = 0
        while f"{part}/layer_{layer}/ffn/linear_0/weight" in floats:
            found |= _layer(floats, f"{part}/layer_{layer}", f"{part}.blocks.{layer}")
            layer += 1
    return found


def _layer(floats: Mapping[str, Floats], here: str, there: str) -> dict[str, Floats]:
    found = {
        **_norm(floats, f"{here}/self_attention/layer_norm", f"{there}.attn_ln"),
        **_attention(floats, f"{here}/self_attention", f"{there}.attn"),
        **_norm(floats, f"{here}/ffn/layer_norm", f"{there}.mlp_ln"),
        **dict(_linear(floats, f"{here}/ffn/linear_0", f"{there}.mlp.0")),
        **dict(_linear(floats, f"{here}/ffn/linear_1", f"{there}.mlp.2")),
    }
    if f"{here}/attention/linear_0/weight" in floats:
        found |= _norm(floats, f"{here}/attention/layer_norm", f"{there}.cross_attn_ln")
        found |= _attention(floats, f"{here}/attention", f"{there}.cross_attn")
    return found


def _attention(floats: Mapping[str, Floats], here: str, there: str) -> dict[str, Floats]:
    """Queries, keys and values are rows of one matrix, or queries stand alone before the others."""
    rows, last = [], 0
    while f"{here}/linear_{last + 1}/weight" in floats:
        rows.append(f"{here}/linear_{last}")
        last += 1
    found = dict(_linear(floats, f"{here}/linear_{last}", f"{there}.out"))
    for kind in ("weight", "bias"):
        joined = np.concatenate([floats[f"{row}/{kind}"] for row in rows])
        for name, part in zip(("query", "key", "value"), np.split(joined, 3), strict=True):
            found[f"{there}.{name}.{kind}"] = part
    del found[f"{there}.key.bias"]
    return found


def _linear(floats: Mapping[str, Floats], here: str, there: str) -> Iterator[tuple[str, Floats]]:
    for kind in ("weight", "bias"):
        yield f"{there}.{kind}", floats[f"{here}/{kind}"]


def _norm(floats: Mapping[str, Floats], here: str, there: str) -> dict[str, Floats]:
    return {f"{there}.weight": floats[f"{here}/gamma"], f"{there}.bias": floats[f"{here}/beta"]}


def _layers(state: Mapping[str, Floats], part: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(f"{part}.blocks.")})
