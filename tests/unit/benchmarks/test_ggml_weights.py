"""The file for whisper.cpp, part by part."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.ggml_weights import BLOCK, MAGIC, q8_0, text_tokens, write_ggml
from benchmarks.speed.random_whisper import TEXT_TOKENS, write_random_whisper
from gpu_worker.models.weights.reading import read_whisper

pytestmark = pytest.mark.slow  # it imports torch

SMALL = (2, 2, 64)  # layers, heads, width


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_whisper(tmp_path_factory.mktemp("small"), SMALL)


def test_numbers_of_8_bits_are_near_the_weights() -> None:
    value = np.random.default_rng(1).standard_normal((6, 2 * BLOCK), np.float32)
    value[3, BLOCK:] = 0.0
    blocks = np.frombuffer(q8_0(value), dtype=[("scale", "<f2"), ("numbers", "i1", BLOCK)])
    assert len(blocks) == value.size // BLOCK
    found = blocks["scale"].astype(np.float32)[:, None] * blocks["numbers"]
    np.testing.assert_allclose(found.reshape(value.shape), value, atol=0.02)


def test_tokens_are_the_bytes_that_their_strings_stand_for(model: Path) -> None:
    tokens = text_tokens(model / "tokenizer.json")
    assert len(tokens) == TEXT_TOKENS
    assert {bytes([byte]) for byte in range(256)} <= set(tokens)
    assert b" a" in tokens


def test_a_file_begins_with_the_sizes_and_ends_with_the_last_tensor(
    model: Path, tmp_path: Path
) -> None:
    weights = read_whisper(model)
    filters = np.zeros((80, 201), np.float32)
    path = write_ggml(tmp_path / "ggml.bin", weights, model / "tokenizer.json", filters)
    data = path.read_bytes()
    head = struct.unpack("<12i", data[:48])
    assert head == (MAGIC, 51_865, 1500, 64, 2, 2, 448, 64, 2, 2, 80, 2007)
    assert struct.unpack("<2i", data[48:56]) == (80, 201)
    *_, last = weights.state.values()
    assert last.ndim == 1
    assert data.endswith(last.astype("<f4").tobytes())
