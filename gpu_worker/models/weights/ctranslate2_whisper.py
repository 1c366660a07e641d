"""Read a CTranslate2 Whisper: `model.bin` and `config.json`.

CTranslate2 joins the projections of queries, keys and values into one matrix; here they are parted
again. Its keys have a bias of zeros that Whisper has not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gpu_worker.models.weights.ctranslate2_file import Floats, read_weights
from gpu_worker.models.weights.whisper import (
    WhisperWeights,
    count_layers,
    usual_alignment_heads,
)


def read_ctranslate2(directory: Path) -> WhisperWeights:
    """Read the directory's model. Raises ValueError if it is no Whisper."""
    weights = read_weights(directory / "model.bin")
    if weights.specification != "WhisperSpec":
        raise ValueError(f"{directory} holds a {weights.specification}, no Whisper.")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    heads, state = weights.variables, openai_state(weights.floats())
    decoder_heads = int(heads["decoder/num_heads"])
    alignment_heads = config.get("alignment_heads") or usual_alignment_heads(
        count_layers(state, "decoder"), decoder_heads
    )
    return WhisperWeights(
        state,
        int(heads["encoder/num_heads"]),
        decoder_heads,
        tuple((layer, head) for layer, head in alignment_heads),
        tuple(config.get("suppress_ids") or ()),
        tuple(config.get("suppress_ids_begin") or ()),
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
    """Part the rows of one matrix; or queries stand alone, before keys and values."""
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
