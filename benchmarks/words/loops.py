"""Sounds that make a model repeat itself: what becomes of the loops.

    python -m benchmarks.words.loops [--model base] [--speech DIR] [--json FILE]

From the labelled recordings of a directory: a syllable looped, a sentence repeated and cut by
0.3 s, speech under chords, in noise that is 8 dB louder, slow, stretched and backwards; and
multilingual.mp3, if it is there, forced to English. A sound is printed if its first text loops.
Behind it stand the words in loops, and the errors where it is known what is said, for the first
text, for ours before and now, and for faster-whisper's pipeline.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, samples
from benchmarks.machine import describe_machine, print_machine
from benchmarks.words.doubt import LANGUAGES, with_noise
from benchmarks.words.sides import Hear, Sides
from benchmarks.words.soundscapes import chords
from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.doubt.repetition import find_repetitions
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.fallback import compression_ratio
from gpu_worker.words import split_words

BEAMS = 5
NOISE_DB = 8.0
CUT_SECONDS, WINDOW_SECONDS = 0.3, 29
LOOPING_RATIO = 2.4  # of zlib, openai/whisper's threshold


@dataclass(frozen=True, slots=True)
class Provocation:
    """A sound that may make a model repeat itself."""

    name: str
    audio: Audio
    language: str
    text: str = ""  # what is said, where it is known


def provocations(directory: Path) -> Iterator[Provocation]:
    """All sounds, the same each time."""
    chance = np.random.default_rng(19)
    for file in labelled_files(directory):
        audio, name = samples(file.path)[: WINDOW_SECONDS * SAMPLE_RATE], file.path.stem
        is_whole = len(audio) < WINDOW_SECONDS * SAMPLE_RATE
        text = file.text if is_whole else ""
        language = LANGUAGES.get(name.partition("-")[0], "en")
        start = int(np.argmax(np.abs(audio)))
        for seconds in (0.2, 0.4, 0.8):
            piece = audio[start : start + int(seconds * SAMPLE_RATE)]
            looped = np.tile(piece, 1 + 20 * SAMPLE_RATE // max(1, len(piece)))
            yield Provocation(f"{name}: {seconds} s looped", looped[: 20 * SAMPLE_RATE], language)
        sentence = audio[: min(len(audio), 4 * SAMPLE_RATE)]
        cut = sentence[: len(sentence) - int(CUT_SECONDS * SAMPLE_RATE)]
        yield Provocation(f"{name}: a sentence repeated", np.tile(cut, 7), language)
        music = chords(len(audio), chance)
        music *= 2 * np.std(audio) / np.std(music)
        mixed = (audio + music).astype(np.float32)
        yield Provocation(f"{name}: under chords", mixed / np.abs(mixed).max(), language, text)
        noisy = with_noise(audio, NOISE_DB, chance)
        yield Provocation(f"{name}: in noise", noisy, language, text)
        half = audio[: WINDOW_SECONDS * SAMPLE_RATE // 2]
        slow = np.interp(np.arange(0, len(half), 0.5), np.arange(len(half)), half)
        said = text if len(half) == len(audio) else ""
        yield Provocation(f"{name}: slow", slow.astype(np.float32), language, said)
        stretched = np.concatenate(
            [np.tile(audio[at : at + 1600], 3) for at in range(0, len(audio) // 3, 1600)]
        )
        yield Provocation(f"{name}: stretched", stretched, language)
        yield Provocation(f"{name}: backwards", audio[::-1].copy(), language)
    mixture = directory / "multilingual.mp3"
    if mixture.is_file():
        yield Provocation("multilingual, as English", samples(mixture), "en")


def looping_words(text: str) -> int:
    """How many words of a text stand in loops, without the first time of each phrase."""
    words = [text[start:end] for start, end in split_words(text)]
    return sum(one.words * (one.times - 1) for one in find_repetitions(words))


def loops(text: str) -> bool:
    """Whether a text repeats itself, by phrases or by zlib's ratio."""
    return looping_words(text) > 0 or compression_ratio(text) > LOOPING_RATIO


def main() -> None:
    """Print the sounds that provoke loops, and the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", choices=NAMES, default="base")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--model-directory", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    sides = Sides.load(whisper_files(given.model, given.model_directory).job)
    hears: dict[str, Hear] = {
        "before": sides.before, "ours": sides.after, "faster-whisper": sides.peer,
    }  # fmt: skip
    sounds, rows = 0, []
    for sound in provocations(given.speech):
        if given.model.endswith(".en") and sound.language != "en":
            continue
        sounds += 1
        options = DecodeOptions(language=sound.language, beam_size=BEAMS)
        first = DecodeOptions(language=sound.language, beam_size=BEAMS, temperatures=(0.0,))
        texts = {"first": sides.before(sound.audio, first, VadOptions())}
        if not loops(texts["first"]):
            continue
        texts |= {name: hear(sound.audio, options, VadOptions()) for name, hear in hears.items()}
        row: dict[str, object] = {"sound": sound.name}
        print(f"\n{sound.name}")
        for name, text in texts.items():
            wrong = word_error(sound.text, text, sound.language) if sound.text else None
            row[name] = {
                "loops": loops(text), "looping_words": looping_words(text),
                "errors": wrong.errors if wrong else None, "words": wrong.words if wrong else None,
            }  # fmt: skip
            told = f"WER {wrong.rate:.0%}" if wrong else ""
            print(f"  {name:<15} {looping_words(text):>4} looping {told:<10} {text[:110]!r}")
        rows.append(row)
        print(end="", flush=True)
    print(f"\n{given.model}: {len(rows)} of {sounds} sounds made the first text loop; still do:")
    for name in hears:
        left = sum(bool(row[name]["loops"]) for row in rows)  # type: ignore[index]
        print(f"  {name:<15} {left}")
    if given.json:
        result = {
            "machine": describe_machine(), "model": given.model, "sounds": sounds, "loops": rows,
        }  # fmt: skip
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
