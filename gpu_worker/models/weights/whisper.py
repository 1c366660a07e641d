"""The weights of a Whisper under the names of openai/whisper and of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpu_worker.models.weights.ctranslate2_file import Floats

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
    ("encoder.ln_post", "encoder.layer_norm"),
    ("decoder.ln.", "decoder.layer_norm."),
    ("token_embedding", "embed_tokens"),
    ("positional_embedding", "embed_positions.weight"),
)


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """One model: weights by openai/whisper's names, its sizes, and its rules."""

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
            "n_audio_layer": count_layers(state, "encoder"),
            "n_vocab": vocabulary,
            "n_text_ctx": len(state["decoder.positional_embedding"]),
            "n_text_state": text_width,
            "n_text_head": self.decoder_heads,
            "n_text_layer": count_layers(state, "decoder"),
        }

    def transformers_state(self) -> dict[str, Floats]:
        """Return the weights by the names of transformers' WhisperForConditionalGeneration."""
        found = {}
        for name, value in self.state.items():
            for ours, theirs in _TRANSFORMERS:
                name = name.replace(ours, theirs)
            found[f"model.{name}"] = value
        return found | {"proj_out.weight": self.state["decoder.token_embedding.weight"]}


def openai_name(theirs: str) -> str:
    """Return the name of openai/whisper for one of transformers."""
    name = theirs.removeprefix("model.")
    for ours, other in reversed(_TRANSFORMERS):
        name = name.replace(other, ours)
    return name


def usual_alignment_heads(layers: int, heads: int) -> tuple[tuple[int, int], ...]:
    """Return the heads that time words in a model that names none: the later half of the layers.

    openai/whisper has them so (model.py).
    """
    return tuple((layer, head) for layer in range(layers // 2, layers) for head in range(heads))


def count_layers(state: Mapping[str, Floats], part: str) -> int:
    """Return how many layers the `encoder` or the `decoder` of these weights has."""
    return len({name.split(".")[2] for name in state if name.startswith(f"{part}.blocks.")})
