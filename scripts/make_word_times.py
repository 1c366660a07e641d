"""Make the held-out speech that word times are checked on: `tests/data/word_times.*`.

    python -m scripts.make_word_times

English and Spanish of every voice that pico knows, with pauses, and where each word
begins and ends. Needs the libraries of espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.make_heldout import DATA
from scripts.opus import write_opus
from scripts.pico.align_windows import shift
from scripts.sentences import sentence
from scripts.speech import Voice, check_voices, utterance, voices
from scripts.word_times import TimedSpeech, speak

UTTERANCES = {"en": 2, "es": 3}  # of each voice
FEWEST_WORDS = 3
SEED = 77
PAUSES = (0.5, 1.3)  # seconds of digital silence before each, and after the last


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=DATA, help="directory to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    check_voices()
    dice = random.Random(SEED)
    parts, entries, position = list[Any](), list[dict[str, Any]](), 0
    for voice in (one for one in voices() for _ in range(UTTERANCES[one.language])):
        speech = held_out(dice, voice)
        parts += [silence(dice), speech.samples]
        position += len(parts[-2])
        start, position = position, position + len(speech.samples)
        entries.append(entry(speech, start / SAMPLE_RATE))
    parts.append(silence(dice))
    write_opus(out / "word_times.ogg", np.concatenate(parts))
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (out / "word_times.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(entries)} utterances, {sum(map(len, parts)) / SAMPLE_RATE:.0f} s, in {out}")


def held_out(dice: random.Random, voice: Voice) -> TimedSpeech:
    """Something that no training heard, of three words or more."""
    while True:
        text = sentence(dice, voice.language, held_out=True)
        speech = speak(utterance(dice, text, voice, held_out=True))
        if speech and len(speech.words) >= FEWEST_WORDS:
            return speech


def silence(dice: random.Random) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.zeros(int(dice.uniform(*PAUSES) * SAMPLE_RATE), np.float32)


def entry(speech: TimedSpeech, start: float) -> dict[str, Any]:
    """Text, language, voice, and all times in seconds of the file."""
    said = speech.said
    return {
        "text": said.text,
        "language": said.voice.language,
        "voice": str(said.voice),
        "start": start,
        "end": start + len(speech.samples) / SAMPLE_RATE,
        "words": [
            {"word": word.word, "start": round(word.start, 4), "end": round(word.end, 4)}
            for word in shift(speech.words, start)
        ],
    }


if __name__ == "__main__":
    main()
