"""Train the encoder of pico-parakeet, a test model of the kind that NeMo's Parakeet is.

    python -m scripts.pico.train_transducer --minutes 20 --out tests/data/parakeet.npz

It takes NeMo's features, halves their rate three times, to frames of 80 ms, and says in each frame
which word of pico's vocabulary begins there. `tests/inputs/parakeet_model.py` makes graphs of it.
The weights are written as int8, each output of a layer with a scale of its own: the file is part
of the repository, so it must be small. Needs torch, onnx-asr and the libraries of espeak-ng and
flite.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx_asr.preprocessors.numpy_preprocessor import NemoPreprocessorNumpy
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from scripts.pico.align_windows import TimedPool
from scripts.pico.train_align import rate
from scripts.pico.windows import Placed
from scripts.speech import vocabulary

WIDTH, INNER, BLOCKS = 96, 192, 4
MELS, REACH = 128, 11  # bands of the features; frames that a block hears at once
FRAME_SECONDS = 0.08
WINDOWS = {2.0: 24, 6.0: 12, 12.0: 6}  # seconds of a window: windows in a batch
SHOWN = 2  # frames that say the word: at the border of two frames either may have it
QUIET_SHARE = 0.05  # of the windows have no speech


class Separable(nn.Module):
    """A convolution of each channel by itself, then one of all channels at each place."""

    def __init__(self, reach: int, stride: int, out: int) -> None:
        super().__init__()
        self.own = nn.Conv1d(WIDTH, WIDTH, reach, stride, reach // 2, groups=WIDTH, bias=False)
        self.all = nn.Conv1d(WIDTH, out, 1, bias=False)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, sound: Tensor) -> Tensor:
        mixed: Tensor = self.norm(self.all(self.own(sound)))
        return mixed

    def layers(self, name: str) -> dict[str, tuple[Tensor, Tensor | None]]:
        """The weights and the bias of each layer, by name."""
        return {f"{name}.own": (self.own.weight, None), f"{name}.all": _merged(self.all, self.norm)}


class Block(nn.Module):
    """Adds to a frame what follows from those around it."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = Separable(REACH, 1, INNER)
        self.back = nn.Conv1d(INNER, WIDTH, 1)

    def forward(self, sound: Tensor) -> Tensor:
        added: Tensor = self.back(relu(self.wide(sound)))
        return sound + added


class Encoder(nn.Module):
    """Features (windows, 128, steps of 10 ms) to scores (windows, words + blank, frames)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, WIDTH, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.halves = nn.ModuleList(Separable(5, 2, WIDTH) for _ in range(2))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.out = nn.Conv1d(WIDTH, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        sound = relu(self.norm(self.first(features)))
        for half in self.halves:
            sound = relu(half(sound))
        for block in self.blocks:
            sound = block(sound)
        scores: Tensor = self.out(sound)
        return scores


def tokens() -> list[str]:
    """The words of both languages, as sentencepiece writes the start of a word; then the blank."""
    words = dict.fromkeys(word for words in vocabulary().values() for word in words)
    return [*(f"▁{word}" for word in words), "<blk>"]


def labels(words: list[Placed], frames: int, ids: dict[str, int]) -> npt.NDArray[np.int64]:
    """What each frame says: a word where it begins, and in the frame behind; else the blank."""
    found = np.full(frames, len(ids) - 1, np.int64)
    for word in words:
        first = int(word.start / FRAME_SECONDS)
        found[first : first + SHOWN] = ids[f"▁{word.word}"]
    return found


def batch(
    pool: TimedPool, seconds: float, dice: random.Random, ids: dict[str, int]
) -> tuple[Tensor, Tensor]:
    """Features and labels of some windows of a length."""
    features, said = [], []
    for _ in range(WINDOWS[seconds]):
        samples, words = pool.placed(seconds)
        if dice.random() < QUIET_SHARE:
            noise = np.random.default_rng(dice.randrange(1 << 30))
            level = math.exp(dice.uniform(-12.0, -3.0)) * dice.choice((0.0, 1.0, 1.0, 1.0))
            samples = (level * noise.standard_normal(len(samples))).astype(np.float32)
            words = []
        heard, _ = NEMO(samples[None], np.array([len(samples)]))
        features.append(heard[0, :, : len(samples) // 160].astype(np.float32))
        said.append(labels(words, (features[-1].shape[1] - 1) // 8 + 1, ids))
    return torch.from_numpy(np.stack(features)), torch.from_numpy(np.stack(said))


NEMO = NemoPreprocessorNumpy(f"nemo{MELS}")


def train(options: argparse.Namespace, model: Encoder, ids: dict[str, int]) -> None:
    """Change the model's weights for `options.minutes`."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    pool = TimedPool(options.pool, options.seed)
    print(f"{len(pool.spoken)} utterances", flush=True)
    dice = random.Random(options.seed)
    model.train()
    began = time.monotonic()
    step, shown = 0, list[float]()
    while (now := time.monotonic()) - began < 60 * options.minutes:
        for group in optimizer.param_groups:
            group["lr"] = options.rate * rate(step, (now - began) / (60 * options.minutes))
        features, said = batch(pool, dice.choice(list(WINDOWS)), dice, ids)
        loss = cross_entropy(model(features), said)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown.append(loss.item())
        step += 1
        if step % 50 == 0:
            print(f"step {step}  loss {np.mean(shown[-50:]):.4f}  {now - began:.0f} s", flush=True)
        if step % 500 == 0:
            export(model, options.out)


def export(model: Encoder, out: Path) -> None:
    """Write the weights, with each normalization as part of the layer before it."""
    layers: dict[str, tuple[Tensor, Tensor | None]] = {"first": _merged(model.first, model.norm)}
    for index, half in enumerate(model.halves):
        assert isinstance(half, Separable)
        layers |= half.layers(f"half{index}")
    for index, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        layers |= block.wide.layers(f"block{index}")
        layers[f"block{index}.back"] = block.back.weight, block.back.bias
    layers["out"] = model.out.weight, model.out.bias
    arrays: dict[str, Any] = {"tokens": np.frombuffer(json.dumps(tokens()).encode(), np.uint8)}
    for name, (weight, bias) in layers.items():
        values = weight.detach().numpy()
        scale = np.maximum(np.abs(values).max(axis=(1, 2), keepdims=True) / 127, 1e-8)
        arrays[f"{name}.weight"] = np.round(values / scale).astype(np.int8)
        arrays[f"{name}.scale"] = scale.astype(np.float32)
        if bias is not None:
            arrays[f"{name}.bias"] = bias.detach().numpy().astype(np.float16)
    np.savez_compressed(out, **arrays)


def _merged(layer: nn.Conv1d, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert norm.running_var is not None and norm.running_mean is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return layer.weight * factor[:, None, None], norm.bias - norm.running_mean * factor


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--pool", type=int, default=4_000, help="utterances at hand")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    ids = {token: index for index, token in enumerate(tokens())}
    train(options, model := Encoder(len(ids)), ids)
    export(model, options.out)
    print(f"written to {options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
