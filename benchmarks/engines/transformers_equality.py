"""Does the engine `torch` write what transformers writes, token for token, greedy and in float32?

    python -m benchmarks.engines.transformers_equality [--models pico tiny.en base]
        [--shapes tiny … large-v3] [--windows 8] [--tokens 60] [--speech DIRECTORY] [--json FILE]

Real models hear windows of real speech (pico: its own synthetic one), with the tokens that their
files forbid. Random weights (SYNTHETIC) have the full width, heads and layers of each published
size, and hear noise; each text has as many tokens as are told.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tokenizers
import torch
from faster_whisper.tokenizer import Tokenizer

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH
from benchmarks.engines.greedy import by_network, by_transformers
from benchmarks.engines.shapes import SHAPES, Shape, random_model
from benchmarks.machine import describe_machine
from benchmarks.speed.batch_equality import real_windows
from benchmarks.speed.sides.transformers_pipeline import whisper_in_torch
from gpu_worker.audio.samples import Audio
from gpu_worker.builtin import PICO
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.transcription.engines.torch_whisper.mel import LogMel
from gpu_worker.transcription.engines.torch_whisper.network import Network, build_network
from gpu_worker.transcription.engines.torch_whisper.precision import Precision

RESULTS = Path(__file__).resolve().parents[1] / "results" / "torch_equality.json"
FLOAT32 = Precision(torch.float32, torch.float32)
ENGLISH_ONLY = 51_864


@dataclass(frozen=True, slots=True)
class Row:
    """One model."""

    model: str
    windows: int
    equal: int  # windows whose tokens are all equal
    tokens: int  # that transformers wrote
    differing: list[int]  # where the first token differs, in each window that is not equal
    encoder_difference: float  # the largest of any state


@dataclass(frozen=True, slots=True)
class Rules:
    """What is before a text, behind it and not in it."""

    prompt: Sequence[int]
    end: int
    suppressed: Sequence[int] = ()
    at_begin: Sequence[int] = ()


def compare(
    name: str, network: Network, model: Any, mel: torch.Tensor, rules: Rules, room: int
) -> Row:
    """Encode and write by both. Each is given its own encodings."""
    with torch.inference_mode():
        theirs = torch.cat([model.model.encoder(one).last_hidden_state for one in mel.split(1)])
        ours = network.encode(mel)
    told = (rules.prompt, rules.end, room, rules.suppressed, rules.at_begin)
    pairs = list(
        zip(by_transformers(model, theirs, *told), by_network(network, ours, *told), strict=True)
    )
    return Row(
        name,
        len(pairs),
        sum(one == other for one, other in pairs),
        sum(len(one) for one, _ in pairs),
        [first_difference(one, other) for one, other in pairs if one != other],
        float((theirs - ours).abs().max()),
    )


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first place at which two lists differ."""
    same = [a == b for a, b in zip(one, other, strict=False)]
    return same.index(False) if False in same else len(same)


def of_real(name: str, windows: Sequence[Audio], room: int) -> Row:
    """A real model on real speech."""
    directory = PICO if name == "pico" else whisper_files(name).directory
    weights = read_whisper(directory)
    tokens = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    is_multilingual = weights.dimensions["n_vocab"] != ENGLISH_ONLY
    tokenizer = Tokenizer(tokens, is_multilingual, task="transcribe", language="en")
    rules = Rules(
        (*tokenizer.sot_sequence, tokenizer.no_timestamps),
        tokenizer.eot,
        weights.suppressed,
        weights.suppressed_at_begin,
    )
    network = build_network(weights, FLOAT32, "cpu")
    model = whisper_in_torch(weights, tokenizer.sot, tokenizer.eot)
    return compare(name, network, model, LogMel(network.mels, "cpu")(windows), rules, room)


def of_shape(name: str, shape: Shape, windows: int, room: int) -> Row:
    """Random weights on noise; no text ends before it has its number of tokens."""
    weights, model = random_model(shape)
    network = build_network(weights, FLOAT32, "cpu")
    noise = torch.Generator().manual_seed(1)
    mel = torch.randn(windows, shape.mels, 3000, generator=noise)
    rules = Rules((50_258, 50_259, 50_359, 50_363), 50_257, suppressed=(50_257,))
    return compare(f"{name} (SYNTHETIC)", network, model, mel, rules, room)


def memory_for(shape: Shape) -> float:
    """GB: both models share the weights, but ours joins or packs most of them."""
    return 2.3 * 4 * shape.parameters / 1e9 + 2.0


def synthetic_speech(count: int) -> list[Audio]:
    """pico hears its own voices alone: the sample conversation in windows of 6 s."""
    from faster_whisper import decode_audio

    audio = np.asarray(decode_audio(str(PICO.parent / "sample" / "conversation.ogg")), np.float32)
    return [audio[first : first + 96_000] for first in range(0, len(audio), 96_000)][:count]


def main() -> None:
    """Print a line for each model, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="*", default=["pico", *NAMES])
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--windows", type=int, default=8, help="of real speech; 2 of noise")
    parser.add_argument("--tokens", type=int, default=60, help="of a text of random weights")
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    report: dict[str, Any] = {"results": {}}
    if given.json.is_file():
        report = json.loads(given.json.read_text(encoding="utf-8"))
    report["machine"] = describe_machine()
    print(f"{'':<30}windows  equal  tokens  encoder's largest difference   seconds")
    real = [(name, None) for name in given.models]
    for name, shape in (*real, *((name, SHAPES[name]) for name in given.shapes)):
        began = time.perf_counter()
        if shape is None and name == "pico":
            row = of_real(name, synthetic_speech(given.windows), 200)
        elif shape is None:
            row = of_real(name, real_windows(given.speech, [30.0], given.windows), 200)
        elif memory_for(shape) * 1e9 > psutil.virtual_memory().available:
            print(f"{name:<30}left out: there is no memory for {memory_for(shape):.0f} GB")
            continue
        else:
            row = of_shape(name, shape, 2, given.tokens)
        print(
            f"{row.model:<30}{row.windows:>7}{row.equal:>7}{row.tokens:>8}"
            f"{row.encoder_difference:>31.1e}{time.perf_counter() - began:>10.0f}"
            + (f"  first at {row.differing}" if row.differing else ""),
            flush=True,
        )
        report["results"][row.model] = asdict(row)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
