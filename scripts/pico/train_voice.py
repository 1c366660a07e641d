"""Train pico-voice, the built-in speaker embedding, on synthetic speech.

    python -m scripts.pico.train_voice --steps 1000 --out gpu_worker/builtin/pico_voice

pyannote.audio's XVectorMFCC learns to tell the speakers of `voice_pool.py`
apart with an additive margin softmax (arXiv:1801.05599). Each window holds two
speakers and each is pooled over its own mask, as pyannote's pipeline will do.
The directory must have `config.json`, the class's arguments; `model.safetensors`
is written into it. Needs torch, pyannote.audio and the programs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import time
import warnings
from pathlib import Path

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.pico.voice_pool import Pool
from scripts.speech import Samples

try:
    import torch
    from safetensors.torch import save_file

    with warnings.catch_warnings():  # of libraries it could decode files with; none is needed
        warnings.simplefilter("ignore")
        from pyannote.audio.models.embedding.xvector import XVectorMFCC
except ImportError as missing:
    raise SystemExit(
        f"{missing.name} is not installed: pip install torch pyannote.audio safetensors"
    ) from missing

WINDOW = 4 * SAMPLE_RATE  # samples
MASK_RATE = 100  # mask frames a second
SHORTEST = 0.8  # seconds of the first speaker in a window, and of the second one
BETWEEN = (-0.4, 0.5)  # seconds between the two; below zero they overlap
EDGE = 0.1  # seconds by which a mask is wrong at each end
LEVELS = (-14.0, 0.0)  # dB, of a speaker
NOISES = (-90.0, -44.0)  # dB, standard deviation of white noise
TILT = 0.35  # of the random first-order filter of a window
NOT_CONSTANT = 1e-3  # standard deviation of noise on the frames
MARGIN, SCALE = 0.2, 30.0
MARGIN_STEPS = 0.4  # share of the steps in which the margin grows from 0
WARM_UP = 50  # steps


def window(pool: Pool, dice: random.Random) -> tuple[Samples, torch.Tensor, list[int]]:
    """The sound of two speakers in turn, their masks (2, frames) and their classes."""
    seconds = WINDOW / SAMPLE_RATE
    first_end = dice.uniform(SHORTEST, seconds - SHORTEST - BETWEEN[1])
    second_start = max(first_end + dice.uniform(*BETWEEN), 0.2)
    masks = torch.zeros(2, int(seconds * MASK_RATE))
    sound = np.zeros(WINDOW, np.float32)
    classes = dice.sample(range(len(pool.speakers)), 2)
    spans = [(0.0, first_end), (second_start, seconds)]
    for row, (speaker, (start, end)) in enumerate(zip(classes, spans, strict=True)):
        at, until = int(start * SAMPLE_RATE), int(end * SAMPLE_RATE)
        level = 10 ** (dice.uniform(*LEVELS) / 20)
        sound[at:until] += np.float32(level) * pool.stretch(dice, speaker, until - at)
        edges = [round((edge + dice.uniform(-EDGE, EDGE)) * MASK_RATE) for edge in (start, end)]
        masks[row, max(edges[0], 0) : edges[1]] = 1.0
    if dice.random() < 0.5:
        clean = masks.sum(dim=0) < 2
        masks = masks * clean
    tilt = np.float32(dice.uniform(-TILT, TILT))
    sound[1:] -= tilt * sound[:-1]
    noise = np.random.default_rng(dice.randrange(2**32)).standard_normal(WINDOW, np.float32)
    return sound + np.float32(10 ** (dice.uniform(*NOISES) / 20)) * noise, masks, classes


class Classifier(torch.nn.Module):
    """The embedding on normalised features, and one direction for each speaker."""

    def __init__(self, embedding: XVectorMFCC, classes: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.directions = torch.nn.Parameter(torch.randn(classes, embedding.dimension))
        self.mean, self.deviation = torch.zeros(()), torch.ones(())

    def normalise(self, sounds: torch.Tensor) -> None:
        """Take mean and deviation of each coefficient from these sounds (batch, 1, samples)."""
        found = self.embedding.mfcc(sounds).squeeze(1)
        self.mean = found.mean(dim=(0, 2), keepdim=True)
        self.deviation = found.std(dim=(0, 2)).reshape(1, -1, 1)

    def forward(self, sounds: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Cosines (batch · 2, classes) of sounds (batch, 1, samples), masks (batch, 2, frames)."""
        with torch.no_grad():
            frames = (self.embedding.mfcc(sounds).squeeze(1) - self.mean) / self.deviation
        with torch.autocast("cpu", torch.bfloat16):
            for layer in self.embedding.tdnns:
                frames = layer(frames)
        # A channel that is constant under a mask has deviation 0, whose gradient is not a number.
        frames = frames.float() + NOT_CONSTANT * torch.randn(frames.shape)
        pooled = self.embedding.stats_pool(frames, weights=masks).flatten(0, 1)
        found = torch.nn.functional.normalize(self.embedding.embedding(pooled))
        return found @ torch.nn.functional.normalize(self.directions).T

    def folded(self) -> XVectorMFCC:
        """The embedding that takes features as they are; the first layer does the normalising."""
        model = copy.deepcopy(self.embedding).eval()
        first = model.tdnns[0]
        with torch.no_grad():
            first.weight /= self.deviation
            first.bias -= (first.weight * self.mean).sum(dim=(1, 2))
        return model


def write(model: XVectorMFCC, path: Path) -> None:
    """Weights in float16; statistics and the constants of the features in float32."""
    learned = {name for name, _ in model.named_parameters()}
    state = {
        name: (tensor.half() if name in learned else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(state, path)
    path.chmod(0o644)


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: a short warm-up, then half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * (
        0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
    )


def train(options: argparse.Namespace, model: Classifier, pool: Pool) -> None:
    """Change the model's weights in `options.steps` steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, options.steps))
    dice = random.Random(options.seed)
    began = time.monotonic()
    for step in range(options.steps):
        drawn = [window(pool, dice) for _ in range(options.batch)]
        sounds = torch.from_numpy(np.stack([sound for sound, _, _ in drawn])).unsqueeze(1)
        masks = torch.stack([mask for _, mask, _ in drawn])
        classes = torch.tensor([index for _, _, pair in drawn for index in pair])
        if step == 0:
            model.normalise(sounds)
        cosines = model(sounds, masks)
        margin = MARGIN * min(1.0, step / (MARGIN_STEPS * options.steps))
        wanted = torch.nn.functional.one_hot(classes, cosines.shape[1])
        loss = torch.nn.functional.cross_entropy(SCALE * (cosines - margin * wanted), classes)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0 or step == options.steps - 1:
            right = (cosines.argmax(dim=1) == classes).float().mean()
            seconds = time.monotonic() - began
            print(f"step {step}  loss {loss:.3f}  right {right:.0%}  {seconds:.0f} s", flush=True)
        if step % options.checkpoint == options.checkpoint - 1:
            write(model.folded(), options.out / "model.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="directory with config.json")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=48, help="windows; each has two speakers")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="the highest learning rate")
    parser.add_argument("--each", type=int, default=24, help="utterances of a speaker at hand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=int, default=100, help="steps between two")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    arguments = json.loads((options.out / "config.json").read_text(encoding="utf-8"))
    pool = Pool(options.each, options.seed)
    print(f"{len(pool.speakers)} speakers", flush=True)
    model = Classifier(XVectorMFCC(**arguments), len(pool.speakers)).train()
    train(options, model, pool)
    write(model.folded(), options.out / "model.safetensors")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
