"""Measure the word times that whisperX finds with pico-align.

    python -m scripts.pico.evaluate_align [--model DIRECTORY] [--utterances 240]

Held-out utterances with known word times, each alone and then joined into long
windows, with pauses and with the silence cut out. whisperX is given the true text.
Needs whisperX and the libraries of espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nltk
import numpy as np
import torch
from whisperx.alignment import align, load_align_model

from gpu_worker.builtin import PICO
from gpu_worker.pcm import SAMPLE_RATE
from scripts.pico.align_windows import draw, shift
from scripts.pico.windows import Placed
from scripts.speech import Samples
from scripts.word_times import TimedSpeech, speak

SEED = 2024
WINDOW_SECONDS = 20.0
PAUSES = {"windows with pauses": (0.2, 0.9), "windows without": (0.0, 0.0)}
NOISE = 0.001  # standard deviation

Errors = list[tuple[float, float]]  # seconds, found minus true, of a word's start and end


class Aligner:
    """whisperX with one model."""

    def __init__(self, directory: Path) -> None:
        self._model, self._metadata = load_align_model("en", "cpu", model_name=str(directory))

    def errors(self, samples: Samples, words: Sequence[Placed]) -> Errors:
        """How far off the words of a window are."""
        end = len(samples) / SAMPLE_RATE
        segment: Any = {"start": 0.0, "end": end, "text": " ".join(word.word for word in words)}
        aligned = align([segment], self._model, self._metadata, samples, "cpu")
        found = aligned["word_segments"]
        if len(found) != len(words):
            raise SystemExit(f"whisperX found {len(found)} words of {len(words)}")
        return [
            # A word that could not be aligned counts as one at the window's start.
            (word.get("start", 0.0) - true.start, word.get("end", 0.0) - true.end)
            for word, true in zip(found, words, strict=True)
        ]


def held_out(count: int) -> list[TimedSpeech]:
    """So many utterances that training never drew."""
    dice = random.Random(SEED)
    spoken: list[TimedSpeech] = []
    while len(spoken) < count:
        speech = speak(draw(dice, held_out=True))
        spoken += [speech] if speech else []
    return spoken


def windows(
    spoken: Iterable[TimedSpeech], pause: tuple[float, float]
) -> list[tuple[Samples, list[Placed]]]:
    """The utterances joined into windows of about WINDOW_SECONDS, in a little noise."""
    dice, noise = random.Random(SEED), np.random.default_rng(SEED)
    joined: list[tuple[Samples, list[Placed]]] = []
    parts: list[Samples] = []
    words: list[Placed] = []
    for speech in spoken:
        parts.append(np.zeros(int(dice.uniform(*pause) * SAMPLE_RATE), np.float32))
        words += shift(speech.words, sum(map(len, parts)) / SAMPLE_RATE)
        parts.append(speech.samples)
        if sum(map(len, parts)) > WINDOW_SECONDS * SAMPLE_RATE:
            samples = np.concatenate(parts)
            hiss = NOISE * noise.standard_normal(len(samples), dtype=np.float32)
            joined.append((samples + hiss, words))
            parts, words = [], []
    return joined


def row(name: str, errors: Errors) -> str:
    """Median and 95th percentile in milliseconds of starts, of ends, and of both."""
    far = 1000 * np.abs(np.array(errors))
    columns = [
        f"{np.median(part):5.0f} {np.percentile(part, 95):5.0f}"
        for part in (far[:, 0], far[:, 1], far)
    ]
    return f"{name:28} {len(errors):6}  " + "   ".join(columns)


def offer_no_sentences(directory: Path) -> None:
    """Give NLTK an empty Punkt model, which whisperX asks for; nothing is downloaded."""
    punkt = directory / "tokenizers" / "punkt_tab" / "english"
    punkt.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab"):
        (punkt / name).touch()
    nltk.data.path.insert(0, str(directory))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, default=PICO.with_name("pico_align"))
    parser.add_argument("--utterances", type=int, default=240)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        offer_no_sentences(Path(directory))
        print_errors(Aligner(options.model), held_out(options.utterances))


def print_errors(aligner: Aligner, spoken: Sequence[TimedSpeech]) -> None:
    """Print the rows: all, by language, by voice, and the long windows by language."""
    print(f"{'|error| in ms':28} {'words':>6}   starts 95 %    ends  95 %    both  95 %")
    groups: dict[str, Errors] = defaultdict(list)
    for speech in spoken:
        errors = aligner.errors(speech.samples, speech.words)
        voice = speech.said.voice
        for group in ("utterances", f"utterances, {voice.language}", str(voice)):
            groups[group] += errors
    for group, errors in groups.items():
        print(row(group, errors))
    for name, pause in PAUSES.items():
        for language in ("en", "es"):
            own = [speech for speech in spoken if speech.said.voice.language == language]
            errors = [e for window in windows(own, pause) for e in aligner.errors(*window)]
            print(row(f"{name}, {language}", errors))


if __name__ == "__main__":
    main()
