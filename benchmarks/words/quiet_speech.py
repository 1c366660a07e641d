"""How quiet a recording may be before the speech in it is taken for silence.

    python -m benchmarks.words.quiet_speech [--speech DIR]

Recordings are made quieter, rounded to 16 bits, and heard by Silero as they are and by
`gpu_worker/audio/vad.py`, which makes very quiet ones louder. The level is the one that one
sample of a thousand exceeds. Printed is the share of the frames with speech at -10 dB that is
still heard, and of all frames that were no speech there and are now. Then noises without speech.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy.recordings import pyannote_sample
from benchmarks.machine import print_machine
from benchmarks.words.cut_points import SUFFIXES, music, pink, white
from gpu_worker.audio.speech import FRAME_SAMPLES, Likelihood
from gpu_worker.audio.vad import speech_likelihood
from tests.inputs.speech import SAMPLE_RATE, Samples, read_audio

LEVELS = (-30, -40, -45, -50, -55, -60, -65, -70, -75, -80, -85, -90)  # dB of full scale
NOISE_SECONDS = 60


def at_level(sound: Samples, decibels: float) -> Samples:
    """As loud as asked, in steps of 16 bits."""
    level = np.percentile(np.abs(sound), 99.9)
    return rounded(sound * np.float32(10 ** (decibels / 20) / level))


def rounded(sound: Samples) -> Samples:
    """To what 16 bits can hold."""
    return (np.rint(np.clip(sound, -1, 1) * 32767) / 32768).astype(np.float32)


def as_it_is(sound: Samples) -> Likelihood:
    """Silero without our gain."""
    from faster_whisper.vad import get_vad_model

    found: Likelihood = get_vad_model()(np.pad(sound, (0, -len(sound) % FRAME_SAMPLES)))
    return found


def print_speech(path: Path) -> None:
    """A row for each level of one recording."""
    sound = read_audio(path)
    spoken = as_it_is(at_level(sound, -10)) >= 0.5
    for level in LEVELS:
        quiet = at_level(sound, level)
        shares = []
        for hear in (as_it_is, speech_likelihood):
            found = hear(quiet) >= 0.5
            more = np.count_nonzero(found & ~spoken) / len(found)
            shares.append(f"{np.mean(found[spoken]):>7.0%} {more:>5.0%}")
        print(f"{path.stem:<20} {level:>4} dB {shares[0]} {shares[1]}")


def noises() -> dict[str, Samples]:
    """A minute of each, of a few steps of 16 bits."""
    count, step = NOISE_SECONDS * SAMPLE_RATE, 1 / 32768
    dice = np.random.default_rng(0)
    seconds = np.arange(count) / SAMPLE_RATE
    tones = (np.sin(2 * np.pi * 50 * tone * seconds) / tone for tone in (1, 3, 5))
    hum = sum(tones, start=np.zeros(count))
    dither = dice.random(count) - dice.random(count)
    found = {
        "digital silence": np.zeros(count),
        "one step of noise": dice.integers(-1, 2, count) * step,
        "a step now and then": (dice.random(count) < 0.01) * step,
        "dither": dither * step,
        "hum of 50 Hz": 3 * step * hum,
        "hum and dither": (2 * hum + dither) * step,
    }
    for make in (white, pink, music):
        sound = make(count, dice)
        found[make.__name__] = 3 * step * sound / np.percentile(np.abs(sound), 99.9)
    return {name: rounded(sound.astype(np.float32)) for name, sound in found.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path, help="a directory of recordings")
    given = parser.parse_args()
    print_machine()
    files = [pyannote_sample().path]
    if given.speech is not None:
        files += sorted(path for path in given.speech.iterdir() if path.suffix in SUFFIXES)
    print(f"\n{'':<20} {'level':>7} {'as it is':>13} {'with gain':>13}")
    for path in files:
        print_speech(path)
    print()
    for name, sound in noises().items():
        highest = [float(hear(sound).max()) for hear in (as_it_is, speech_likelihood)]
        print(f"{name:<20} likeliest frame {highest[0]:.2f} as it is, {highest[1]:.2f} with gain")


if __name__ == "__main__":
    main()
