"""Train pico, the built-in Whisper of 1.7 million parameters, on synthetic speech.

    python -m scripts.pico.train --steps 20000 --out pico
    python -m scripts.pico.train --from gpu_worker/builtin/pico --steps 500 --out better

Cross-entropy on the text, plus CTC on the encoder (it makes the encoder listen
early, else the decoder stays a language model), plus guided attention (two
heads must look where the word is). No timestamp tokens: they are beyond a model
of this size. Needs torch, transformers, safetensors, tokenizers, ctranslate2,
faster-whisper and the programs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import time
from pathlib import Path

from scripts.pico import tokenizer as tokens
from scripts.pico.export import export
from scripts.pico.windows import Pool
from scripts.speech import check_voices

try:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from scripts.pico.losses import batch_of, losses
except ImportError as missing:
    raise SystemExit(
        f"{missing.name} is not installed: pip install torch transformers tokenizers "
        "safetensors ctranslate2 faster-whisper"
    ) from missing

WINDOWS = {6.0: 24, 12.0: 12, 30.0: 6}  # seconds of a window: windows in a batch
SHORT_SHARE = 0.3  # of the steps of a new model; they see only the shortest window
CTC_WEIGHT = GUIDE_WEIGHT = 0.3
WARM_UP = 50  # steps
CTC_RATE = 2e-3  # at least; the CTC layer is new even when the model is not
CTC_ALONE = 100  # steps in which a continued model's new CTC layer leaves the encoder as it is


def new_model(tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    """pico's shape with random weights."""
    end = tokens.token_id(tokenizer, tokens.END)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(),
            num_mel_bins=80,
            d_model=128,
            encoder_layers=3,
            encoder_attention_heads=4,
            encoder_ffn_dim=512,
            decoder_layers=2,
            decoder_attention_heads=4,
            decoder_ffn_dim=512,
            dropout=0.05,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=tokens.token_id(tokenizer, tokens.START),
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    )
    return _with_attention(model)


def load_model(directory: Path) -> WhisperForConditionalGeneration:
    """The model that `export` wrote."""
    config = WhisperConfig.from_json_file(directory / "float" / "config.json")
    model = WhisperForConditionalGeneration(config)
    weights = load_file(directory / "float" / "model.safetensors")
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, strict=False)
    model.tie_weights()
    return _with_attention(model)


def _with_attention(model: WhisperForConditionalGeneration) -> WhisperForConditionalGeneration:
    """Let the decoder show its attention, which the guided loss needs; the encoder is fast."""
    model.set_attn_implementation("eager")
    fast = copy.deepcopy(model.config)
    fast._attn_implementation = "sdpa"
    for layer in model.model.encoder.layers:
        layer.self_attn.config = fast
    return model


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: a short warm-up, then half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * (
        0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2
    )


def train(
    options: argparse.Namespace, model: WhisperForConditionalGeneration, tokenizer: Tokenizer
) -> None:
    """Change the model's weights in `options.steps` steps."""
    text_tokens = tokens.token_id(tokenizer, tokens.END)  # they come before the special ones
    ctc = torch.nn.Linear(model.config.d_model, text_tokens + 1)
    learned = [*model.parameters(), *ctc.parameters()]
    groups = [
        {"params": list(model.parameters()), "lr": options.rate},
        {"params": list(ctc.parameters()), "lr": max(options.rate, CTC_RATE)},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, options.steps))
    pool = Pool(options.pool, options.seed)
    dice = random.Random(options.seed)
    model.train()
    began = time.monotonic()
    for step in range(options.steps):
        short = not options.base and step < SHORT_SHARE * options.steps
        seconds = min(WINDOWS) if short else dice.choice(list(WINDOWS))
        pool.renew(options.fresh)
        windows = [pool.window(seconds) for _ in range(WINDOWS[seconds])]
        batch = batch_of(windows, seconds, tokenizer)
        found = losses(model, ctc, batch, detach=bool(options.base) and step < CTC_ALONE)
        total = found["text"] + CTC_WEIGHT * found["ctc"] + GUIDE_WEIGHT * found["guide"]
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0 or step == options.steps - 1:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
            print(
                f"step {step}  {seconds:.0f} s  {shown}  {time.monotonic() - began:.0f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--from", dest="base", type=Path, help="a directory to go on from")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=8e-4, help="the highest learning rate")
    parser.add_argument("--pool", type=int, default=3_000, help="utterances at hand")
    parser.add_argument("--fresh", type=int, default=8, help="new utterances a step")
    options = parser.parse_args()
    check_voices()
    torch.manual_seed(options.seed)
    if options.base:
        tokenizer = Tokenizer.from_file(str(options.base / "tokenizer.json"))
        model = load_model(options.base)
    else:
        tokenizer = tokens.build_tokenizer()
        model = new_model(tokenizer)
    train(options, model, tokenizer)
    export(model, tokenizer, options.out)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
