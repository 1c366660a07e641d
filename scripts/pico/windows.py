"""What pico trains on: windows of speech, mixed anew for every step.

A pool of synthesised utterances is kept fresh by threads that run the speech
engines; each window puts a few of them between pauses, at a changed level and
speed, into noise. This module knows words and sound, no tokens and no torch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gpu_worker.pcm import SAMPLE_RATE
from scripts.sentences import sentence
from scripts.speech import Samples, Utterance, synthesize, utterance, voices

LONGEST_SPEECH = 10.0  # seconds in a window; two decoder layers do not find their place in more
PAUSES = (0.1, 1.2)  # seconds before an utterance
STRETCH = (0.96, 1.04)  # change of speed, and of pitch with it
LEVEL = (0.3, 1.3)  # factor of an utterance
NOISE = (-9.0, -4.0)  # natural logarithm of the noise's standard deviation
EMPTY_SHARE = 0.03  # of the windows have no speech
FULL_SHARE = 0.6  # of the windows are filled as far as they go; the others hold one utterance


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance with its sound."""

    said: Utterance
    samples: Samples


@dataclass(frozen=True, slots=True)
class Placed:
    """A word and about where in the window it is, in seconds."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of sound and the words in it."""

    samples: Samples
    language: str
    words: tuple[Placed, ...]


class Pool:
    """A changing stock of training utterances.

    `seed` decides what is said; in which order the threads finish does not matter.
    """

    def __init__(self, size: int, seed: int, threads: int = 2) -> None:
        self._dice = random.Random(seed)
        self._threads = ThreadPoolExecutor(threads)
        self._coming: list[Future[Spoken]] = []
        self._spoken = list(self._threads.map(_speak, [self._draw() for _ in range(size)]))

    def renew(self, count: int) -> None:
        """Take in the utterances asked for last time, ask for as many new ones."""
        for future in self._coming:
            self._spoken[self._dice.randrange(len(self._spoken))] = future.result()
        self._coming = [self._threads.submit(_speak, self._draw()) for _ in range(count)]

    def window(self, seconds: float) -> Window:
        """A window of at most that length."""
        language = self._dice.choice(self._spoken).said.voice.language
        parts: list[Samples] = []
        words: list[Placed] = []
        position = 0
        for spoken in self._choose(language):
            pause = int(self._dice.uniform(*PAUSES) * SAMPLE_RATE)
            sound = self._change(spoken.samples)
            if position + pause + len(sound) > min(seconds, LONGEST_SPEECH) * SAMPLE_RATE:
                break
            parts += [np.zeros(pause, np.float32), sound]
            position += pause
            words += _place(spoken.said.text, position, len(sound))
            position += len(sound)
        tail = int(self._dice.uniform(*PAUSES) * SAMPLE_RATE)
        parts.append(np.zeros(min(tail, int(seconds * SAMPLE_RATE) - position), np.float32))
        return Window(self._noisy(np.concatenate(parts)), language, tuple(words))

    def _draw(self) -> Utterance:
        voice = self._dice.choice(voices())
        text = sentence(self._dice, voice.language, held_out=False)
        return utterance(self._dice, text, voice, held_out=False)

    def _choose(self, language: str) -> Iterator[Spoken]:
        """The utterances of a window in order: none, one, or more than will fit."""
        fate = self._dice.random()
        while fate > EMPTY_SHARE:
            spoken = self._dice.choice(self._spoken)
            if spoken.said.voice.language == language:
                yield spoken
                if fate > FULL_SHARE + EMPTY_SHARE:
                    return

    def _change(self, samples: Samples) -> Samples:
        times = np.arange(0, len(samples) - 1, self._dice.uniform(*STRETCH))
        stretched = np.interp(times, np.arange(len(samples)), samples)
        changed: Samples = (stretched * self._dice.uniform(*LEVEL)).astype(np.float32)
        return changed

    def _noisy(self, samples: Samples) -> Samples:
        deviation = np.float32(math.exp(self._dice.uniform(*NOISE)))
        noise = np.random.default_rng(self._dice.getrandbits(32))
        hiss: Samples = deviation * noise.standard_normal(len(samples), dtype=np.float32)
        return samples + hiss


def _speak(said: Utterance) -> Spoken:
    return Spoken(said, synthesize(said))


def _place(text: str, start: int, length: int) -> list[Placed]:
    """Give each word its part of the utterance, by its letters."""
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words])
    edges = (start + np.concatenate(([0], ends / ends[-1])) * length) / SAMPLE_RATE
    return [Placed(word, float(edges[i]), float(edges[i + 1])) for i, word in enumerate(words)]
