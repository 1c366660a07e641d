"""A Whisper model of the true size of `tiny`, `base` or `small`, with random weights.

    python -m benchmarks.speed.random_whisper DIRECTORY [--size tiny] [--seed 0]

It has the shapes, the vocabulary and the special tokens of the multilingual model
and loads like it, but hears nothing: what it writes is nonsense of whatever length
it is told. So a figure taken with it says how fast, never how well.
Needs ctranslate2, numpy and tokenizers.
"""

from __future__ import annotations

import argparse
import itertools
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ctranslate2.specs import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

# openai/whisper, the dimensions inside tiny.pt, base.pt and small.pt: layers, heads, width
SIZES = {"tiny": (4, 6, 384), "base": (6, 8, 512), "small": (12, 12, 768)}
MELS = 80
AUDIO_POSITIONS, TEXT_POSITIONS = 1500, 448
TEXT_TOKENS = 50_257  # of the multilingual vocabulary; the last is the empty token
END_OF_TEXT = TEXT_TOKENS
TIMESTAMPS = 1501  # every 20 ms from 0 to 30 s
VOCABULARY = 51_865
SPREAD = 0.02  # standard deviation of the weights, as before training
_CODES = _LANGUAGE_CODES[:-1]  # without the one that large-v3 added

Floats = npt.NDArray[np.float32]


def write_random_whisper(
    directory: Path, size: tuple[int, int, int], seed: int = 0, quantization: str = "int8"
) -> Path:
    """Write the model in CTranslate2's form, and return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer, tokens = _tokenizer()
    tokenizer.save(str(directory / "tokenizer.json"))
    layers, heads, width = size
    spec = WhisperSpec(layers, heads, layers, heads)
    weights = _Weights(seed, width)
    weights.fill_encoder(spec.encoder)
    weights.fill_decoder(spec.decoder)
    spec.register_vocabulary(tokens)
    first_language = END_OF_TEXT + 2
    spec.config.lang_ids = list(range(first_language, first_language + len(_CODES)))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [220, END_OF_TEXT]
    # As openai/whisper has it for a model whose heads are not known.
    spec.config.alignment_heads = [
        [layer, head] for layer in range(layers // 2, layers) for head in range(heads)
    ]
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))
    return directory


class _Weights:
    """Fills the parts of a specification with seeded noise."""

    def __init__(self, seed: int, width: int) -> None:
        self._noise, self._width = np.random.default_rng(seed), width

    def fill_encoder(self, spec: Any) -> None:
        self._linear(spec.conv1, self._width, MELS, 3)
        self._linear(spec.conv2, self._width, self._width, 3)
        spec.position_encodings.encodings = _sinusoids(AUDIO_POSITIONS, self._width)
        self._norm(spec.layer_norm)
        for layer in spec.layer:
            self._layer(layer)

    def fill_decoder(self, spec: Any) -> None:
        spec.embeddings.weight = self._array(VOCABULARY, self._width)
        spec.projection.weight = spec.embeddings.weight
        spec.position_encodings.encodings = self._array(TEXT_POSITIONS, self._width)
        self._norm(spec.layer_norm)
        for layer in spec.layer:
            self._layer(layer)
            self._norm(layer.attention.layer_norm)
            for linear, rows in zip(layer.attention.linear, (1, 2, 1), strict=True):
                self._linear(linear, rows * self._width, self._width)

    def _layer(self, spec: Any) -> None:
        self._norm(spec.self_attention.layer_norm)
        for linear, rows in zip(spec.self_attention.linear, (3, 1), strict=True):
            self._linear(linear, rows * self._width, self._width)
        self._norm(spec.ffn.layer_norm)
        self._linear(spec.ffn.linear_0, 4 * self._width, self._width)
        self._linear(spec.ffn.linear_1, self._width, 4 * self._width)

    def _linear(self, spec: Any, *shape: int) -> None:
        spec.weight, spec.bias = self._array(*shape), self._array(shape[0])

    def _norm(self, spec: Any) -> None:
        spec.gamma, spec.beta = 1 + self._array(self._width), self._array(self._width)

    def _array(self, *shape: int) -> Floats:
        return SPREAD * self._noise.standard_normal(shape, dtype=np.float32)


def _sinusoids(length: int, width: int) -> Floats:
    """The encoder's fixed positions (openai/whisper model.py)."""
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * rates[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _tokenizer() -> tuple[Tokenizer, list[str]]:
    """Byte-level BPE over systematic syllables, and every token in its order."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for left, right in itertools.islice(_syllables(), TEXT_TOKENS - 1 - len(pieces)):
        merges.append((left, right))
        pieces.append(left + right)
    texts = [*pieces, ""]
    tokenizer = Tokenizer(
        models.BPE(vocab={text: index for index, text in enumerate(texts)}, merges=merges)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = _special_tokens()
    times = [f"<|{step * 0.02:.2f}|>" for step in range(TIMESTAMPS)]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in times])
    if tokenizer.token_to_id(times[-1]) != VOCABULARY - 1:
        raise RuntimeError("The vocabulary is not as long as Whisper's.")
    return tokenizer, [*texts, *special, *times]


def _syllables() -> Iterator[tuple[str, str]]:
    """Merges of growing length, each of a piece that exists and one more letter."""
    known = ["Ġ", *string.ascii_lowercase]  # byte-level BPE's space, then letters
    while True:
        grown = []
        for left, right in itertools.product(known, string.ascii_lowercase):
            grown.append(left + right)
            yield left, right
        known = grown


def _special_tokens() -> list[str]:
    """Whisper's, in its order, up to the timestamps."""
    languages = [f"<|{code}|>" for code in _ordered_codes()]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    return [
        "<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks),
    ]  # fmt: skip


def _ordered_codes() -> list[str]:
    """English first, as in Whisper; the order of the others changes no speed."""
    return ["en", *(code for code in _CODES if code != "en")]


def main() -> int:
    """Write the model and say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write_random_whisper(given.directory.resolve(), SIZES[given.size], given.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
