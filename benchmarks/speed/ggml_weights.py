"""Write a Whisper for whisper.cpp: its `ggml` file, with matrices of 8 bits (`q8_0`).

The format is that of whisper.cpp's `models/convert-pt-to-ggml.py`: sizes, mel filters, the bytes of
each token, then tensors. `q8_0` is 32 whole numbers of 8 bits with a scale of 16 bits, row by row.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import IO

import numpy as np
from tokenizers import pre_tokenizers

from gpu_worker.models.weights.ctranslate2_file import Floats
from gpu_worker.models.weights.whisper import WhisperWeights

MAGIC = 0x67676D6C
# ggml.h: a file's type and the version of its quantization, and types of tensors
MOSTLY_Q8_0 = 7 + 2 * 1000
F32, F16, Q8_0 = 0, 1, 8
BLOCK = 32
_SIZES = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels",
)  # fmt: skip


def write_ggml(path: Path, weights: WhisperWeights, tokenizer: Path, mel_filters: Floats) -> Path:
    """Write the file; `mel_filters` have a row for each mel band."""
    with path.open("wb") as file:
        sizes = weights.dimensions
        _write(file, MAGIC, *(sizes[name] for name in _SIZES), MOSTLY_Q8_0)
        _write(file, *mel_filters.shape)
        file.write(np.ascontiguousarray(mel_filters, "<f4").tobytes())
        tokens = text_tokens(tokenizer)
        _write(file, len(tokens))
        for token in tokens:
            _write(file, len(token))
            file.write(token)
        for name, value in weights.state.items():
            _write_tensor(file, name, value)
    return path


def text_tokens(tokenizer: Path) -> list[bytes]:
    """The bytes of each token of text, in their order, from a `tokenizer.json`.

    Its strings stand for bytes, as byte-level BPE has them: printable ones for themselves, the
    others for the letters from U+0100 on.
    """
    letters = set(pre_tokenizers.ByteLevel.alphabet())
    printable = {ord(letter): letter for letter in letters if ord(letter) < 256}
    others = sorted(set(range(256)) - printable.keys())
    byte_of = {letter: byte for byte, letter in printable.items()}
    byte_of |= {chr(256 + index): byte for index, byte in enumerate(others)}
    found = json.loads(tokenizer.read_text(encoding="utf-8"))
    special = {token["id"] for token in found["added_tokens"]}
    vocabulary: dict[str, int] = found["model"]["vocab"]
    ordered = sorted((number, text) for text, number in vocabulary.items())
    return [
        bytes(byte_of[letter] for letter in text)
        for number, text in ordered
        if number not in special
    ]


def q8_0(value: Floats) -> bytes:
    """The matrix in blocks of 32, each a scale of 16 bits and its numbers."""
    blocks = value.reshape(-1, BLOCK)
    scales = (np.abs(blocks).max(axis=1) / 127).astype(np.float32)
    numbers = np.rint(blocks / np.where(scales, scales, 1)[:, None]).astype(np.int8)
    out = np.empty(len(blocks), dtype=[("scale", "<f2"), ("numbers", "i1", BLOCK)])
    out["scale"], out["numbers"] = scales, numbers
    return out.tobytes()


def _write_tensor(file: IO[bytes], name: str, value: Floats) -> None:
    if name.startswith("encoder.conv") and name.endswith("bias"):
        value = value.reshape(-1, 1)
        kind, data = F32, value.astype("<f4").tobytes()
    elif value.ndim == 1 or name.endswith("positional_embedding"):
        kind, data = F32, value.astype("<f4").tobytes()
    elif value.ndim == 2:
        kind, data = Q8_0, q8_0(value)
    else:
        kind, data = F16, value.astype("<f2").tobytes()
    label = name.encode()
    _write(file, value.ndim, len(label), kind, *reversed(value.shape))
    file.write(label)
    file.write(data)


def _write(file: IO[bytes], *numbers: int) -> None:
    file.write(struct.pack(f"<{len(numbers)}i", *numbers))
