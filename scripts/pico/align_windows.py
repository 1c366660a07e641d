"""What pico-align trains on: windows of speech and the character of each frame.

whisperX walks from character to character: each is emitted in one frame, and a
word lasts from its first character to the separator behind it; where it stays, it
reads the blank. Behind the last word there is no separator, and the walk ends with
the last character. So a word's first character belongs into its first frame, its last
one into its last frame, and the separator into the frame after.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gpu_worker.pcm import SAMPLE_RATE
from scripts.pico.align_model import IDS, SEPARATOR, frames
from scripts.pico.windows import LEVEL, NOISE, STRETCH, Placed
from scripts.sentences import sentence
from scripts.speech import Samples, Utterance, utterance, voices
from scripts.word_times import speak

PAUSES = (0.02, 0.9)  # seconds before an utterance
CUT_SHARE = 0.4  # of the pauses are missing, as where silence was cut out
MORE = 0.75  # probability of another utterance, if it fits
TILT = (-0.3, 0.3)  # first-order filter: duller or brighter
TOUCHING = 0.02  # seconds between two words that leave no frame for the separator
PATIENCE = 4  # utterances that may be too long for the rest of a window


@dataclass(frozen=True, slots=True)
class Target:
    """A stretch of sound and what to emit in it."""

    samples: Samples
    characters: npt.NDArray[np.int64]  # of each frame; 0 is the blank


class TimedPool:
    """Training utterances with word times, synthesised once by two processes."""

    def __init__(self, size: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        said = [draw(self._dice, held_out=False) for _ in range(size)]
        with ProcessPoolExecutor(2) as processes:
            spoken = processes.map(speak, said, chunksize=50)
            self.spoken = [speech for speech in spoken if speech is not None]

    def window(self, seconds: float) -> Target:
        """A window of that length, of one language or of both."""
        samples, words = self.placed(seconds)
        return Target(samples, characters(words, len(samples)))

    def placed(self, seconds: float) -> tuple[Samples, list[Placed]]:
        """The sound of such a window, and its words at their places."""
        length = int(seconds * SAMPLE_RATE)
        samples = np.zeros(length, np.float32)
        words: list[Placed] = []
        position, misses = 0, 0
        while misses < PATIENCE:
            speech = self._dice.choice(self.spoken)
            sound, ratio = self._change(speech.samples)
            cut = self._dice.random() < CUT_SHARE
            start = position + (0 if cut else int(self._dice.uniform(*PAUSES) * SAMPLE_RATE))
            if start + len(sound) > length:
                misses += 1
                continue
            samples[start : start + len(sound)] = sound
            words += shift(speech.words, start / SAMPLE_RATE, ratio)
            position = start + len(sound)
            if self._dice.random() > MORE:
                break
        if self._dice.random() < CUT_SHARE:  # the sound ends with the speech
            samples = np.roll(samples, length - position)
            words = shift(words, (length - position) / SAMPLE_RATE)
        return self._spoil(samples), words

    def _change(self, samples: Samples) -> tuple[Samples, float]:
        """Another speed and level; the ratio of the lengths."""
        step = self._dice.uniform(*STRETCH)
        times = np.arange(0, len(samples) - 1, step)
        stretched = np.interp(times, np.arange(len(samples)), samples)
        return (stretched * self._dice.uniform(*LEVEL)).astype(np.float32), 1 / step

    def _spoil(self, samples: Samples) -> Samples:
        """Another tone, another level, and noise."""
        tilt = np.float32(self._dice.uniform(*TILT))
        samples = samples + tilt * np.pad(samples[:-1], (1, 0))
        deviation = np.float32(math.exp(self._dice.uniform(*NOISE)))
        hiss = self._noise.standard_normal(len(samples), dtype=np.float32)
        return np.clip(samples + deviation * hiss, -1, 1).astype(np.float32)


def draw(dice: random.Random, *, held_out: bool) -> Utterance:
    """Something said by one of the voices."""
    voice = dice.choice(voices())
    text = sentence(dice, voice.language, held_out=held_out)
    return utterance(dice, text, voice, held_out=held_out)


def shift(words: Sequence[Placed], start: float, ratio: float = 1.0) -> list[Placed]:
    """The words of an utterance that begins at `start` and lasts `ratio` times as long."""
    return [Placed(w.word, start + w.start * ratio, start + w.end * ratio) for w in words]


def characters(words: Sequence[Placed], samples: int) -> npt.NDArray[np.int64]:
    """The character of each frame. Those that find no frame of their own come later."""
    count = frames(samples)
    per_second = count * SAMPLE_RATE / samples  # whisperX divides the time evenly
    edges = [(word.start * per_second, word.end * per_second) for word in words]
    for index, (one, other) in enumerate(pairwise(edges)):
        if other[0] - one[1] < TOUCHING * per_second:  # half a frame from each
            border = (one[1] + other[0]) / 2
            edges[index] = (one[0], border - 0.5)
            edges[index + 1] = (border + 0.5, other[1])
    found = np.zeros(count, np.int64)
    free = 0
    for word, (start, end) in zip(words, edges, strict=True):
        first, last = math.floor(start + 0.5), math.floor(end + 0.5) - 1
        places = np.linspace(first, last, len(word.word)) if len(word.word) > 1 else [first]
        for character, place in zip((*word.word, SEPARATOR), (*places, last + 1), strict=True):
            frame = max(free, math.floor(place + 0.5))
            if frame < count:
                found[frame] = IDS[character]
            free = frame + 1
    return found
