"""Train pico-align, the built-in aligner of a million parameters, on synthetic speech.

    python -m scripts.pico.train_align --minutes 60 --out pico_align
    python -m scripts.pico.train_align --from gpu_worker/builtin/pico_align --out better

Cross-entropy on the character of each frame, as word borders are known, and a little
CTC: it alone does not know when, but it makes the model settle for one frame where
cross-entropy would share a character among neighbours. A checkpoint is written every
few minutes. Needs torch, transformers, safetensors and the libraries of espeak-ng and
flite.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, ctc_loss, log_softmax
from transformers import Wav2Vec2ForCTC

from scripts.pico.align_model import BLANK, IDS, export, load, new_model
from scripts.pico.align_windows import TimedPool

WINDOWS = {3.0: 12, 6.0: 6, 12.0: 3}  # seconds of a window: windows in a batch
WARM_UP = 100  # steps
SAVE_EVERY = 180  # seconds
CTC_WEIGHT = 0.1  # it counts by the character, cross-entropy by the frame


def rate(step: int, done: float) -> float:
    """Share of the learning rate: a short warm-up, then half a cosine over the time given."""
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return min(1.0, (step + 1) / WARM_UP) * (0.02 + 0.98 * cosine)


def batch(pool: TimedPool, seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples (windows, samples) and characters (windows, frames)."""
    targets = [pool.window(seconds) for _ in range(WINDOWS[seconds])]
    return (
        torch.from_numpy(np.stack([target.samples for target in targets])),
        torch.from_numpy(np.stack([target.characters for target in targets])),
    )


def losses(
    model: Wav2Vec2ForCTC, samples: torch.Tensor, characters: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy by the frame, and CTC by the character."""
    logits = model(samples).logits
    windows, count, _ = logits.shape
    emitted = characters != IDS[BLANK]
    ctc = ctc_loss(
        log_softmax(logits, -1).transpose(0, 1),
        characters[emitted],
        torch.full((windows,), count),
        emitted.sum(1),
        blank=IDS[BLANK],
        zero_infinity=True,
    )
    return cross_entropy(logits.transpose(1, 2), characters), ctc


def train(options: argparse.Namespace, model: Wav2Vec2ForCTC) -> None:
    """Change the model's weights for `options.minutes`."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    pool = TimedPool(options.pool, options.seed)
    print(f"{len(pool.spoken)} utterances", flush=True)
    dice = random.Random(options.seed)
    model.train()
    began = saved = time.monotonic()
    step, shown = 0, list[tuple[float, float]]()
    while (now := time.monotonic()) - began < 60 * options.minutes:
        for group in optimizer.param_groups:
            group["lr"] = options.rate * rate(step, (now - began) / (60 * options.minutes))
        samples, characters = batch(pool, dice.choice(list(WINDOWS)))
        framewise, ctc = losses(model, samples, characters)
        optimizer.zero_grad()
        (framewise + CTC_WEIGHT * ctc).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown.append((framewise.item(), ctc.item()))
        step += 1
        if step % 20 == 0:
            means = np.mean(shown[-20:], axis=0)
            print(
                f"step {step}  loss {means[0]:.4f}  ctc {means[1]:.4f}  {now - began:.0f} s",
                flush=True,
            )
        if now - saved > SAVE_EVERY:
            export(model, options.out)
            saved = now


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--from", dest="base", type=Path, help="a directory to go on from")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--pool", type=int, default=6_000, help="utterances at hand")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    train(options, model := load(options.base) if options.base else new_model())
    export(model, options.out)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
