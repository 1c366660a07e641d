"""Write a trained pico where faster-whisper and other engines load it from.

Makes the layout of `gpu_worker/builtin/pico`: CTranslate2's files in int8, and
`float/` with the weights in float16. Knows nothing of how it was trained.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.pico.tokenizer import ctranslate2_vocabulary, token_id
from scripts.speech import vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import WhisperForConditionalGeneration

GUIDED_HEADS = (0, 1)  # of the last decoder layer; they follow the sound, so word times are theirs


def export(model: WhisperForConditionalGeneration, tokenizer: Tokenizer, out: Path) -> None:
    """Write tokenizer, int8 model and float16 weights under `out`."""
    (out / "float").mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    _write_ctranslate2(model, tokenizer, out)
    _write_float(model, out / "float")


def _write_ctranslate2(
    model: WhisperForConditionalGeneration, tokenizer: Tokenizer, out: Path
) -> None:
    from ctranslate2.converters.transformers import WhisperLoader

    # A copy: quantizing scales the tensors in place, and the spec shares them with the model.
    model = copy.deepcopy(model).float().eval()
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(ctranslate2_vocabulary(tokenizer))
    # What the converter would read from a hub's generation_config.json.
    last = model.config.decoder_layers - 1
    spec.config.lang_ids = [token_id(tokenizer, f"<|{name}|>") for name in vocabulary()]
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [[last, head] for head in GUIDED_HEADS]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(out))


def _write_float(model: WhisperForConditionalGeneration, out: Path) -> None:
    from safetensors.torch import save_file

    weights = {
        name: tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if name != "proj_out.weight"  # the same as the embeddings
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    model.config.to_json_file(out / "config.json", use_diff=False)
