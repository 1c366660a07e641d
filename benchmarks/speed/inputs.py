"""The files that all sides get: recordings of real speech with references, joined in seeded orders.

`long` is one file of ten minutes, `short` sixty files of about one minute. Each seed gives other
files, so nothing of one round is in a cache in the next; they say the same words again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from benchmarks.accuracy.recordings import Recording, recordings, samples
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.windows import Window, pack_windows
from tests.inputs.speech import write_wav

LONG, SHORT = "long", "short"
WORKLOADS = (LONG, SHORT)
PAUSE_SECONDS = 0.5
SHORT_SECONDS = 60.0
CLOSE = 0.05  # an order is taken whose length is as near as this to the length that is wanted
TRIES = 100


@dataclass(frozen=True, slots=True)
class Input:
    """One file, and what is said in it."""

    path: Path
    seconds: float
    text: str


def arrangement(lengths: Mapping[str, float], seconds: float, seed: int) -> tuple[str, ...]:
    """Names in an order whose recordings, with pauses, last about as long; all before any again."""
    chance = random.Random(seed)
    best: tuple[float, tuple[str, ...]] | None = None
    for _ in range(TRIES):
        names: list[str] = []
        ends = [0.0]
        while ends[-1] < seconds:
            names += chance.sample(sorted(lengths), len(lengths))
            ends = list(accumulate(lengths[name] + PAUSE_SECONDS for name in names))
        count = min(range(len(ends)), key=lambda index: abs(ends[index] - seconds)) + 1
        found = (abs(ends[count - 1] - seconds), tuple(names[:count]))
        best = found if best is None else min(best, found)
        if best[0] <= CLOSE * seconds:
            break
    assert best is not None
    return best[1]


def joined(pieces: Sequence[Audio], lead: int) -> Audio:
    """The pieces with a pause before each; `lead` samples make the first pause longer."""
    pause = np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    parts = [np.zeros(lead, np.float32)]
    for piece in pieces:
        parts += [pause, piece]
    return np.concatenate(parts)


def packed_english(directory: Path | None) -> tuple[Audio, tuple[Window, ...]]:
    """All English recordings end to end, and the windows of their speech as a worker packs them."""
    english = [r for r in recordings(directory) if r.language == "en"]
    audio = np.concatenate([samples(recording.path) for recording in english])
    return audio, pack_windows(speech_spans(audio, 30.0), 30 * SAMPLE_RATE)


class Speech:
    """The English recordings that have a reference, in memory."""

    def __init__(self, directory: Path | None) -> None:
        chosen = [r for r in recordings(directory) if r.language == "en" and r.text]
        self._known: dict[str, Recording] = {recording.name: recording for recording in chosen}
        self._samples = {recording.name: samples(recording.path) for recording in chosen}
        self.lengths = {name: len(each) / SAMPLE_RATE for name, each in self._samples.items()}

    def write(
        self, directory: Path, workload: str, seed: int, minutes: float, count: int
    ) -> list[Input]:
        """The files of a workload: one that lasts some minutes, or a count of about one minute."""
        directory.mkdir(parents=True, exist_ok=True)
        lengths = [60 * minutes] if workload == LONG else [SHORT_SECONDS] * count
        found = []
        for index, seconds in enumerate(lengths):
            number = 1000 * seed + 500 * WORKLOADS.index(workload) + index
            names = arrangement(self.lengths, seconds, number)
            # No two files are the same, even where their orders are.
            audio = joined([self._samples[name] for name in names], lead=number % SAMPLE_RATE)
            path = write_wav(directory / f"{workload}-{seed}-{index}.wav", audio)
            text = " ".join(self._known[name].text for name in names)
            found.append(Input(path, len(audio) / SAMPLE_RATE, text))
        return found
