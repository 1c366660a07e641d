"""Make a conversation to measure diarization with, and its reference.

    python -m scripts.make_conversation --out talk.wav
    python -m scripts.make_conversation --minutes 2.5 --out tests/data/conversation.ogg

Voices take turns as people do: with pauses, some overlaps, unequal shares, low
noise. The sentences and speeds are held out, like those of `make_heldout`. The
reference, a .json beside the audio, has each turn's speaker, start, end (where
there is sound) and text, and each sentence's span. Needs espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import json
import random
import wave
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.opus import write_opus
from scripts.sentences import sentence
from scripts.speech import Samples, Voice, synthesize, utterance

VOICES = ("espeak:en-us+f2", "espeak:en-us+m3", "flite:slt", "flite:rms")
SHARES = (0.37, 0.28, 0.2, 0.15)  # of the turns; the order of the speakers is drawn
TURN_SENTENCES = (1, 4)
LONGEST_TURN = 12.0  # seconds; no sentence is begun after LONGEST_TURN - 3
BREATHS = (0.15, 0.45)  # seconds between the sentences of a turn
PAUSES = (0.2, 1.2)  # seconds between turns
OVERLAPS = (0.3, 1.0)  # seconds
OVERLAP_SHARE = 0.1  # of the turns begin before the last one has ended
LEVELS = (0.5, 1.0)  # of a speaker
NOISE = 0.001  # standard deviation; no room is silent


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says in a row; times in seconds."""

    speaker: str
    start: float
    end: float
    text: str
    sentences: tuple[tuple[float, float, str], ...]  # start, end, text


def voice_named(name: str) -> Voice:
    """`engine:name`, as in voices.txt. Spanish voices speak Spanish, all others English."""
    engine, _, own = name.partition(":")
    return Voice(engine, own, "es" if own.split("+")[0] in ("es", "es-419") else "en")


def _spoken(dice: random.Random, voice: Voice) -> tuple[Samples, list[tuple[int, int, str]]]:
    """A turn's sound, and first sample, last sample and text of its sentences."""
    parts: list[Samples] = []
    sentences: list[tuple[int, int, str]] = []
    at = 0
    for _ in range(dice.randint(*TURN_SENTENCES)):
        text = sentence(dice, voice.language, held_out=True)
        sound = synthesize(utterance(dice, text, voice, held_out=True))
        if sentences:
            breath = np.zeros(int(dice.uniform(*BREATHS) * SAMPLE_RATE), np.float32)
            parts.append(breath)
            at += len(breath)
        parts.append(sound)
        sentences.append((at, at + len(sound), text))
        at += len(sound)
        if at > (LONGEST_TURN - 3) * SAMPLE_RATE:
            break
    return np.concatenate(parts), sentences


def converse(names: list[str], minutes: float, seed: int) -> tuple[Samples, list[Turn]]:
    """The sound of a conversation at SAMPLE_RATE, and its turns in order of start."""
    dice = random.Random(seed)
    speakers = dice.sample(names, len(names))
    shares = [SHARES[number % len(SHARES)] for number in range(len(names))]
    levels = {name: dice.uniform(*LEVELS) for name in speakers}
    length = int(minutes * 60 * SAMPLE_RATE)
    sound = np.random.default_rng(seed).standard_normal(length, np.float32) * np.float32(NOISE)
    turns: list[Turn] = []
    at, last = SAMPLE_RATE // 2, ""
    while True:
        # Each speaker has a turn first, then by share; none has two turns in a row.
        unheard = [name for name in speakers if name not in {turn.speaker for turn in turns}]
        others = unheard[:1] or [name for name in speakers if name != last] or speakers
        weights = [shares[speakers.index(name)] for name in others]
        name = dice.choices(others, weights)[0]
        spoken, sentences = _spoken(dice, voice_named(name))
        start = at
        if at + len(spoken) + SAMPLE_RATE // 2 > length:
            return sound, turns
        sound[start : start + len(spoken)] += np.float32(levels[name]) * spoken
        spans = tuple(
            ((start + first) / SAMPLE_RATE, (start + end) / SAMPLE_RATE, text)
            for first, end, text in sentences
        )
        text = " ".join(text for _, _, text in spans)
        turns.append(Turn(name, spans[0][0], spans[-1][1], text, spans))
        last = name
        overlaps = len(names) > 1 and len(turns) >= len(names) and dice.random() < OVERLAP_SHARE
        gap = -dice.uniform(*OVERLAPS) if overlaps else dice.uniform(*PAUSES)
        # An overlap is shorter than half of either turn, and touches no turn but the last.
        at = start + len(spoken) + max(int(gap * SAMPLE_RATE), -len(spoken) // 2)


def write(path: Path, sound: Samples, turns: list[Turn]) -> None:
    """The audio, Opus if the name ends in .ogg or .opus and else WAV, and the reference."""
    sound = sound * np.float32(min(1.0, 0.99 / np.abs(sound).max()))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".ogg", ".opus"):
        write_opus(path, sound, 16_000)
    else:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((sound * 32767).astype("<i2").tobytes())
    lines = ",\n".join("  " + json.dumps(asdict(turn), ensure_ascii=False) for turn in turns)
    speakers = json.dumps(sorted({turn.speaker for turn in turns}))
    reference = f'{{\n "seconds": {len(sound) / SAMPLE_RATE},\n "speakers": {speakers},\n'
    path.with_suffix(".json").write_text(
        f'{reference} "turns": [\n{lines}\n ]\n}}\n', encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help=".ogg, .opus or .wav")
    parser.add_argument("--voices", nargs="+", default=list(VOICES), metavar="ENGINE:NAME")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=30)
    options = parser.parse_args()
    sound, turns = converse(options.voices, options.minutes, options.seed)
    write(options.out, sound, turns)
    print(f"{len(turns)} turns of {len(options.voices)} voices in {options.out}")


if __name__ == "__main__":
    main()
