"""Our network writes what transformers' Whisper writes, token for token, in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
import torch
from faster_whisper.tokenizer import Tokenizer

from benchmarks.engines.greedy import by_network, by_transformers
from benchmarks.engines.shapes import Shape, random_model
from benchmarks.speed.sides.transformers_pipeline import whisper_in_torch
from gpu_worker.builtin import PICO
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.transcription.engines.torch_whisper.mel import LogMel
from gpu_worker.transcription.engines.torch_whisper.network import build_network
from gpu_worker.transcription.engines.torch_whisper.precision import Precision
from tests.inputs.real_models import real_model
from tests.inputs.speech import heldout

pytestmark = pytest.mark.slow  # it imports torch and transformers

FLOAT32 = Precision(torch.float32, torch.float32)
# The proportions of tiny, of large-v3, of turbo and of a distilled model, with few layers.
SHAPES = {
    "even": Shape(96, 6, 2, 2, vocabulary=700),
    "128 mels": Shape(80, 5, 2, 2, mels=128, vocabulary=700),
    "turbo": Shape(80, 5, 4, 1, mels=128, vocabulary=700),
    "distilled": Shape(64, 4, 3, 2, vocabulary=700),
}
END, PROMPT = 0, (1, 2, 3, 4)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_random_weights_of_any_shape_write_the_same_tokens(shape: Shape) -> None:
    weights, model = random_model(shape)
    network = build_network(weights, FLOAT32, "cpu")
    mel = torch.randn(3, shape.mels, 3000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        encoded = model.model.encoder(mel).last_hidden_state
        torch.testing.assert_close(network.encode(mel), encoded, atol=1e-5, rtol=0)
    forbidden = ([7, 8], [9])
    theirs = by_transformers(model, encoded, PROMPT, END, 60, *forbidden)
    assert by_network(network, encoded, PROMPT, END, 60, *forbidden) == theirs
    assert all(len(set(text)) > 20 for text in theirs)


def compare(directory: Path, windows: int) -> None:
    """What both write of real speech, with the tokens that the model's files forbid."""
    weights = read_whisper(directory)
    tokens = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    is_multilingual = weights.dimensions["n_vocab"] != 51_864
    tokenizer = Tokenizer(tokens, is_multilingual, task="transcribe", language="en")
    prompt, end = (*tokenizer.sot_sequence, tokenizer.no_timestamps), tokenizer.eot
    model = whisper_in_torch(weights, tokenizer.sot, end)
    network = build_network(weights, FLOAT32, "cpu")
    mel = LogMel(network.mels, "cpu")([said.samples for said in heldout("en")[:windows]])
    with torch.inference_mode():
        encoded = model.model.encoder(mel).last_hidden_state
    rules = (weights.suppressed, weights.suppressed_at_begin)
    theirs = by_transformers(model, encoded, prompt, end, 100, *rules)
    assert by_network(network, encoded, prompt, end, 100, *rules) == theirs
    assert all(theirs)


def test_pico_writes_the_same_tokens() -> None:
    compare(PICO, 6)


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_real_weights_write_the_same_tokens(name: str) -> None:
    compare(real_model(name), 2)
