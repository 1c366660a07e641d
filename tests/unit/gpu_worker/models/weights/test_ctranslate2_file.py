"""Weights that are read from CTranslate2's files give in torch what CTranslate2 makes of them."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch

from benchmarks.speed.random_whisper import END_OF_TEXT, write_random_whisper
from benchmarks.speed.sides.transformers_pipeline import whisper_in_torch
from gpu_worker.models.weights.ctranslate2_file import read_weights
from gpu_worker.models.weights.reading import read_whisper

pytestmark = pytest.mark.slow  # it imports torch and transformers

SMALL = (2, 2, 64)  # layers, heads, width
NAMES = ("encoder/conv1/weight", "decoder/layer_1/attention/linear_1/weight")


@pytest.fixture(scope="module")
def in_float32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_whisper(tmp_path_factory.mktemp("f32"), SMALL, quantization="float32")


@pytest.mark.parametrize(
    ("quantization", "tolerance"), [("int8", 5e-4), ("float16", 1e-4), ("bfloat16", 5e-4)]
)
def test_weights_of_any_type_are_read_as_floats(
    in_float32: Path, tmp_path: Path, quantization: str, tolerance: float
) -> None:
    expected = read_weights(in_float32 / "model.bin").floats()
    same = write_random_whisper(tmp_path, SMALL, quantization=quantization)
    found = read_weights(same / "model.bin").floats()
    assert found.keys() == expected.keys()
    for name in NAMES:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


def test_an_alias_is_the_variable_that_it_names(in_float32: Path) -> None:
    found = read_weights(in_float32 / "model.bin")
    assert (found.specification, found.revision) == ("WhisperSpec", 3)
    variables = found.variables
    assert variables["decoder/projection/weight"] is variables["decoder/embeddings/weight"]


def test_a_file_that_ends_early_or_has_another_version_is_refused(
    in_float32: Path, tmp_path: Path
) -> None:
    data = (in_float32 / "model.bin").read_bytes()
    short, other = tmp_path / "short.bin", tmp_path / "other.bin"
    short.write_bytes(data[: len(data) // 2])
    other.write_bytes(b"\x05" + data[1:])
    with pytest.raises(ValueError, match="ends too early"):
        read_weights(short)
    with pytest.raises(ValueError, match="binary version 5"):
        read_weights(other)


def test_torch_hears_and_writes_what_ctranslate2_does(in_float32: Path) -> None:
    features = np.random.default_rng(1).standard_normal((1, 80, 3000), np.float32)
    # Start, English, transcribe, no timestamps.
    prompt = [END_OF_TEXT + 1, END_OF_TEXT + 2, END_OF_TEXT + 102, END_OF_TEXT + 106]
    reference = ctranslate2.models.Whisper(str(in_float32), compute_type="float32")
    encoded = reference.encode(ctranslate2.StorageView.from_array(features), to_cpu=True)
    [written] = reference.generate(
        encoded, [prompt], beam_size=1, max_length=20, suppress_blank=False, suppress_tokens=[]
    )
    model = whisper_in_torch(read_whisper(in_float32), begin=END_OF_TEXT + 1, end=END_OF_TEXT)
    with torch.inference_mode():
        heard = model.model.encoder(torch.from_numpy(features)).last_hidden_state
        np.testing.assert_allclose(heard.numpy(), np.array(encoded), atol=1e-4)
        tokens = list(prompt)
        for _ in written.sequences_ids[0]:
            scores = model(
                encoder_outputs=(heard,), decoder_input_ids=torch.tensor([tokens])
            ).logits
            tokens.append(int(scores[0, -1].argmax()))
    assert tokens[len(prompt) :] == written.sequences_ids[0]
    assert len(written.sequences_ids[0]) > 5
