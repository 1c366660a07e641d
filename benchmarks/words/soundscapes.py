"""Clips in which nothing is said: made ones, and the silent parts of real recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy.recordings import samples
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import FRAME_SAMPLES
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.pcm import SAMPLE_RATE

Chance = np.random.Generator
Sound = np.ndarray
LENGTHS = (2.0, 20.0)  # seconds of a clip
LEVELS = (-55.0, -15.0)  # dB of full scale
SUFFIXES = (".wav", ".flac", ".mp3")
# A stretch of a recording without a voice: in no frame of it, nor near it, is speech likelier.
QUIET_LIKELIHOOD, QUIET_SECONDS, EDGE_SECONDS = 0.1, 1.0, 0.4


def coloured(count: int, chance: Chance, power: float) -> Sound:
    """Noise whose spectrum falls with this power of the frequency."""
    spectrum = np.fft.rfft(chance.standard_normal(count))
    return np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** power, count)


def hum(count: int, chance: Chance) -> Sound:
    """A mains hum with its odd harmonics."""
    seconds, base = np.arange(count) / SAMPLE_RATE, chance.choice([50, 60])
    return sum(
        (np.sin(2 * np.pi * base * part * seconds) / part for part in (1, 3, 5, 7)),
        start=np.zeros(count),
    )


def tones(count: int, chance: Chance) -> Sound:
    """A melody of plain tones."""
    return _notes(count, chance, voices=1)


def chords(count: int, chance: Chance) -> Sound:
    """Chords of three notes with overtones that die away, as of a piano."""
    return _notes(count, chance, voices=3)


def breath(count: int, chance: Chance) -> Sound:
    """Noise between 500 and 3000 Hz that swells and fades every few seconds."""
    spectrum = np.fft.rfft(chance.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum[(frequencies < 500) | (frequencies > 3000)] *= 0.05
    swell = np.maximum(0, np.sin(2 * np.pi * np.arange(count) / SAMPLE_RATE / chance.uniform(2, 5)))
    return np.fft.irfft(spectrum, count) * swell**2


def clicks(count: int, chance: Chance) -> Sound:
    """A click of a few samples, about each second."""
    found = np.zeros(count)
    for place in chance.integers(0, count - 8, max(1, count // SAMPLE_RATE)):
        found[place : place + 8] = chance.standard_normal(8)
    return found


def keyboard(count: int, chance: Chance) -> Sound:
    """Strokes of keys: short bursts of noise that ring, in rows."""
    found, at = 0.02 * coloured(count, chance, 0.5), 0
    while (at := at + int(chance.exponential(0.18) * SAMPLE_RATE) + 800) < count - 2000:
        ring = np.exp(-np.arange(2000) / chance.uniform(60, 300))
        tone = np.sin(2 * np.pi * chance.uniform(800, 4000) * np.arange(2000) / SAMPLE_RATE)
        found[at : at + 2000] += ring * (0.6 * tone + chance.standard_normal(2000))
    return found


def room(count: int, chance: Chance) -> Sound:
    """A room with a fan: brown noise, some hum, and a beat."""
    noise = coloured(count, chance, 1.0)
    beat = 1 + 0.3 * np.sin(2 * np.pi * 7 * np.arange(count) / SAMPLE_RATE)
    return noise / np.std(noise) * beat + 0.3 * hum(count, chance)


def steps(count: int, chance: Chance) -> Sound:
    """Dull knocks, as of steps and doors."""
    found = 0.01 * coloured(count, chance, 0.5)
    for place in chance.integers(0, max(1, count - 4000), max(1, count // SAMPLE_RATE)):
        ring = np.exp(-np.arange(4000) / 500) * chance.standard_normal(4000)
        found[place : place + 4000] += np.convolve(ring, np.ones(40) / 40, "same")[: count - place]
    return found


def _notes(count: int, chance: Chance, voices: int) -> Sound:
    found, length = np.zeros(count), SAMPLE_RATE // 2
    seconds = np.arange(length) / SAMPLE_RATE
    for first in range(0, count - length, length):
        for _ in range(voices):
            pitch = 220 * 2 ** (chance.integers(-12, 24) / 12)
            for part in range(1, 2 + 2 * (voices > 1)):
                wave = np.sin(2 * np.pi * pitch * part * seconds) / part
                found[first : first + length] += wave * np.exp(-2 * seconds)
    return found


KINDS: dict[str, Callable[[int, Chance], Sound]] = {
    "silence": lambda count, chance: np.zeros(count),
    "white": lambda count, chance: coloured(count, chance, 0.0),
    "pink": lambda count, chance: coloured(count, chance, 0.5),
    "brown": lambda count, chance: coloured(count, chance, 1.0),
    "hum": hum,
    "tones": tones,
    "chords": chords,
    "breath": breath,
    "clicks": clicks,
    "keyboard": keyboard,
    "room": room,
    "steps": steps,
}


def made(clips: int, seed: int) -> Iterator[tuple[str, Audio]]:
    """So many clips, each kind in turn, of several lengths and levels; the same for a seed."""
    chance = np.random.default_rng(seed)
    names = list(KINDS)
    for number in range(clips):
        name = names[number % len(names)]
        sound = KINDS[name](int(chance.uniform(*LENGTHS) * SAMPLE_RATE), chance)
        level = 10 ** (chance.uniform(*LEVELS) / 20)
        peak = np.percentile(np.abs(sound), 99.9) or np.abs(sound).max() or 1.0
        yield name, np.clip(sound / peak * level, -1, 1).astype(np.float32)


def silent_parts(directory: Path) -> Iterator[tuple[str, Audio]]:
    """The stretches of real recordings without a voice, as they are and 15 dB louder."""
    for path in sorted(directory.iterdir()):
        if path.suffix not in SUFFIXES:
            continue
        audio = samples(path)
        loud = np.append(speech_likelihood(audio) > QUIET_LIKELIHOOD, True)
        edge, first = int(EDGE_SECONDS * SAMPLE_RATE), 0
        for frame in np.flatnonzero(loud):
            begin, end = first * FRAME_SAMPLES + edge, int(frame) * FRAME_SAMPLES - edge
            if end - begin >= QUIET_SECONDS * SAMPLE_RATE:
                part = audio[begin:end]
                yield f"real {path.stem}", part
                yield f"real {path.stem} +15 dB", np.clip(part * 5.6, -1, 1).astype(np.float32)
            first = int(frame) + 1
