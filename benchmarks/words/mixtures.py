"""Recordings of several languages, mixed of recordings of one each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE

PART_SECONDS = (4.0, 15.0)


@dataclass(frozen=True, slots=True)
class Part:
    """What is said in one language, in seconds of the file."""

    start: float
    end: float
    language: str


@dataclass(frozen=True, slots=True)
class Case:
    """A file of several languages, and what is said in each."""

    name: str
    audio: Audio
    parts: tuple[Part, ...]
    texts: dict[str, str]  # by language; empty: not known


def mixture(
    name: str,
    sources: dict[str, Audio],
    texts: dict[str, str],
    pause: tuple[float, float],
    seed: int,
) -> Case:
    """Mix recordings by language, all as loud: parts of all of them in turn, at random.

    Each recording is used from its begin to its end, so that a language's text is a whole one.
    """
    chance = np.random.default_rng(seed)
    left = {code: _level(audio) for code, audio in sources.items()}
    sound: list[Audio] = []
    parts: list[Part] = []
    at = 0
    while any(len(audio) for audio in left.values()):
        others = [
            code for code in left if len(left[code]) and not (parts and parts[-1].language == code)
        ] or [code for code in left if len(left[code])]
        code = str(chance.choice(others))
        length = int(chance.uniform(*PART_SECONDS) * SAMPLE_RATE)
        if len(left[code]) - length < PART_SECONDS[0] * SAMPLE_RATE:
            length = len(left[code])
        length = quiet_near(left[code], length)
        piece, left[code] = left[code][:length], left[code][length:]
        gap = int(chance.uniform(*pause) * SAMPLE_RATE)
        parts.append(Part(at / SAMPLE_RATE, (at + length) / SAMPLE_RATE, code))
        sound += [piece, chance.normal(0.0, 1e-4, gap).astype(np.float32)]
        at += length + gap
    return Case(name, np.concatenate(sound), tuple(parts), texts)


def _level(audio: Audio) -> Audio:
    return (audio * (0.07 / float(np.sqrt(np.mean(np.square(audio)))))).astype(np.float32)


def quiet_near(audio: Audio, length: int) -> int:
    """Move a cut by up to a second, to the quietest 50 ms, so that few words are cut in two."""
    if length >= len(audio):
        return len(audio)
    step = SAMPLE_RATE // 20
    places = range(max(step, length - SAMPLE_RATE), min(len(audio), length + SAMPLE_RATE), step)
    return min(places, key=lambda at: float(np.square(audio[at - step : at + step]).sum()))
