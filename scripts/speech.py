"""Synthetic speech: what is said, by whom, and the sound of it.

espeak-ng and flite do the talking. Sentences whose checksum says so, and odd
speeds and pitches, are held out: training never sees them and the test set is
made of nothing else. This module knows nothing of models or files of speech.
"""

from __future__ import annotations

import functools
import random
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpu_worker.builtin import PICO
from gpu_worker.pcm import SAMPLE_RATE

Samples = npt.NDArray[np.float32]  # mono at SAMPLE_RATE, in -1..1

SPEEDS = range(138, 189)  # words a minute
PITCHES = range(45, 56)  # of espeak-ng's 0..99
FLITE_SPEED = 163  # words a minute that count as flite's own pace
PEAK = 0.7  # of every utterance; engines and voices differ in level
HELD_OUT_SHARE = 16  # one sentence in so many is held out


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of one engine."""

    engine: str  # espeak or flite
    name: str
    language: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence and how it is said."""

    text: str
    voice: Voice
    speed: int  # words a minute
    pitch: int  # 0..99; flite's voices have only their own


def read_sections(path: Path) -> dict[str, list[str]]:
    """The lines under each `[language]` of a word or voice list."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines())):
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            current.append(line)
    return sections


@functools.cache
def vocabulary() -> dict[str, list[str]]:
    """The words of each language that pico knows."""
    return read_sections(PICO / "vocabulary.txt")


@functools.cache
def voices() -> tuple[Voice, ...]:
    """The voices that pico knows."""
    sections = read_sections(PICO / "voices.txt")
    return tuple(
        Voice(engine, name, language)
        for language, lines in sections.items()
        for engine, name in (line.split(":") for line in lines)
    )


def check_voices() -> None:
    """Raise SystemExit if two of the voices are one: espeak-ng drops variants it cannot find."""
    heard: dict[bytes, Voice] = {}
    for voice in voices():
        words = " ".join(vocabulary()[voice.language][:8])
        sound = synthesize(Utterance(words, voice, SPEEDS[0], PITCHES[0])).tobytes()
        if sound in heard:
            raise SystemExit(f"{voice} and {heard[sound]} sound the same; see voices.txt")
        heard[sound] = voice


def is_held_out(text: str) -> bool:
    """Whether a sentence belongs to the test set, whoever makes it up."""
    return zlib.crc32(text.encode()) % HELD_OUT_SHARE == 0


def utterance(dice: random.Random, sentence: str, voice: Voice, *, held_out: bool) -> Utterance:
    """The sentence at a drawn speed and pitch: odd numbers if held out, else even ones."""
    parity = int(held_out)
    speed = dice.choice([speed for speed in SPEEDS if speed % 2 == parity])
    pitch = dice.choice([pitch for pitch in PITCHES if pitch % 2 == parity])
    return Utterance(sentence, voice, speed, pitch)


def synthesize(said: Utterance) -> Samples:
    """The sound of an utterance, without the silence around it.

    Raises SystemExit, saying what to install, where the engine is missing.
    """
    if said.voice.engine == "espeak":
        command = ["espeak-ng", "-v", said.voice.name, "-s", str(said.speed)]
        command += ["-p", str(said.pitch), "--stdout", said.text]
    else:
        stretch = f"duration_stretch={FLITE_SPEED / said.speed:.3f}"
        command = ["flite", "-voice", said.voice.name, "--setf", stretch]
        command += ["-t", said.text, "-o", "/dev/stdout"]
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed: apt-get install espeak-ng flite")
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    rate = int.from_bytes(wav[24:28], "little")
    # The engines cannot seek back on a pipe, so the lengths in the 44-byte header are not true.
    heard = np.frombuffer(wav[44:], dtype="<i2").astype(np.float32) / np.float32(32768)
    return level(_trim(resample(heard, rate)))


def play(samples: Samples, rate: float) -> Samples:
    """The recording played `rate` times as fast, so higher as well."""
    return resample(samples, round(SAMPLE_RATE * rate / 100) * 100)


def resample(samples: Samples, rate: int) -> Samples:
    """Change the rate to SAMPLE_RATE by cutting the spectrum."""
    if rate == SAMPLE_RATE:
        return samples
    unit = rate // int(np.gcd(rate, SAMPLE_RATE))
    padded = np.pad(samples, (0, -len(samples) % unit))
    length = len(padded) // unit * (SAMPLE_RATE * unit // rate)
    spectrum = np.fft.rfft(padded)[: length // 2 + 1]
    return (np.fft.irfft(spectrum, length) * (length / len(padded))).astype(np.float32)


def _trim(samples: Samples, threshold: float = 0.005) -> Samples:
    loud = np.flatnonzero(np.abs(samples) > threshold)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def level(samples: Samples) -> Samples:
    return samples * np.float32(PEAK / max(float(np.abs(samples).max(initial=0.0)), 1e-6))
