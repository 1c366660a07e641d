"""How many chunks end while speech goes on, by loudness alone and by the speech detector.

    python -m benchmarks.words.cut_points [--speech DIR] [--minutes 20] [--rounds 3] [--hours 10]

Speech alone, and mixed with as much noise or music as there is speech (0 dB), is planned into
chunks. A cut is in speech if the speech alone is speech there: by Silero, and for the bundled
utterances by their loudness too (no more than 30 dB below the loud ones). Speech that is 10 dB
or more below the noise is not counted, since it cannot be heard. The recordings are the sample
of pyannote.audio and those of `--speech`, joined, each as loud as the others. At last the plan
of one long file is timed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.recordings import pyannote_sample
from benchmarks.machine import print_machine
from gpu_worker.audio.chunking import ChunkingOptions, plan_chunks
from gpu_worker.audio.cuts import Detector
from gpu_worker.audio.speech import FRAME_SAMPLES
from gpu_worker.audio.vad import speech_likelihood
from tests.inputs.speech import SAMPLE_RATE, Samples, read_audio, recording

OPTIONS = ChunkingOptions(chunk_seconds=45.0)  # cuts within 15 s of a boundary, as by default
SUFFIXES = {".flac", ".mp3", ".ogg", ".wav"}
LOUD_DB, MASKED_DB = 30.0, 10.0
Sound = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def nothing(samples: int, dice: np.random.Generator) -> Sound:
    """No noise."""
    return np.zeros(samples)


def white(samples: int, dice: np.random.Generator) -> Sound:
    """Noise of equal power at every frequency."""
    return dice.standard_normal(samples)


def pink(samples: int, dice: np.random.Generator) -> Sound:
    """Noise of equal power in every octave, as of streets and machines."""
    spectrum = np.fft.rfft(dice.standard_normal(samples))
    frequencies = np.maximum(np.fft.rfftfreq(samples), 1.0 / samples)
    return np.fft.irfft(spectrum / np.sqrt(frequencies), samples)


def music(samples: int, dice: np.random.Generator) -> Sound:
    """Chords of three notes with overtones, each with a beat of noise."""
    sound = np.zeros(samples)
    position = 0
    while position < samples:
        seconds = np.arange(int(dice.choice([0.25, 0.5, 1.0]) * SAMPLE_RATE)) / SAMPLE_RATE
        root = 110.0 * 2 ** (dice.integers(0, 12) / 12)
        chord = sum(
            np.sin(2 * np.pi * root * note * overtone * seconds) / overtone
            for note in dice.choice([1.0, 1.2, 1.25, 1.5, 2.0], 3, replace=False)
            for overtone in (1, 2, 3, 4)
        )
        fading = np.minimum(1.0, seconds / 0.01) * np.exp(-seconds * dice.uniform(1, 4))
        beat = 0.5 * dice.standard_normal(len(seconds)) * np.exp(-seconds * 30)
        end = min(samples, position + len(seconds))
        sound[position:end] = (chord * fading + beat)[: end - position]
        position = end
    return sound


def mixed(speech: Samples, noise: Sound) -> npt.NDArray[np.int16]:
    """Both with the same power, as 16-bit PCM."""
    power = float(np.mean(noise**2))
    sound = speech + noise * (np.sqrt(np.mean(speech.astype(np.float64) ** 2) / (power or 1.0)))
    return np.rint(sound / np.abs(sound).max() * 0.8 * 32767).astype(np.int16)


def likely_speech(speech: Samples) -> Flags:
    """Of each sample, whether Silero hears speech in the recording without noise."""
    return np.repeat(speech_likelihood(speech) >= 0.5, FRAME_SAMPLES)[: len(speech)]


def loud(speech: Samples) -> Flags:
    """Of each sample, whether the recording without noise is loud there: no detector is asked."""
    length = SAMPLE_RATE // 100
    power = (speech[: len(speech) // length * length].reshape(-1, length) ** 2).mean(axis=1)
    level = 10 * np.log10(np.convolve(power, np.full(5, 0.2), mode="same") + 1e-12)
    flags = np.repeat(level > np.percentile(level, 95) - LOUD_DB, length)
    return np.pad(flags, (0, len(speech) - len(flags)))


def audible(speech: Samples) -> Flags:
    """Of each sample, whether the half second around it is loud enough for noise at 0 dB."""
    length = SAMPLE_RATE // 2
    power = np.cumsum(np.pad(speech.astype(np.float64) ** 2, (length // 2, length - length // 2)))
    around = (power[length:] - power[:-length]) / length
    return around > np.mean(speech.astype(np.float64) ** 2) * 10 ** (-MASKED_DB / 10)


def joined(files: list[Path], seconds: float, seed: int) -> Samples:
    """All recordings in a random order, again and again, each with the same power."""
    dice = np.random.default_rng(seed)
    sounds = [read_audio(path) for path in files]
    sounds = [sound * np.float32(0.05 / np.sqrt(np.mean(sound**2))) for sound in sounds]
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * SAMPLE_RATE:
        parts += [sounds[index] for index in dice.permutation(len(sounds))]
    return np.concatenate(parts)


def sources(directory: Path | None, seconds: float, seed: int) -> Iterator[tuple[str, Samples]]:
    """What is spoken, by name."""
    yield "bundled", recording(seconds, seed=seed, language=None)[0]
    yield "bundled, dense", recording(seconds, seed=seed, language=None, gap=(0.05, 0.3))[0]
    files = [pyannote_sample().path]
    if directory is not None:
        files += sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES)
    yield "recordings", joined(files, seconds, seed)


def planned(pcm: npt.NDArray[np.int16], detector: Detector | None) -> tuple[list[int], float]:
    """The cuts, and the seconds that it took to find them."""
    start = time.perf_counter()
    chunks = plan_chunks(pcm, OPTIONS, detector)
    return [chunk.start for chunk in chunks[1:]], time.perf_counter() - start


def print_cuts(directory: Path | None, seconds: float, rounds: int) -> None:
    """A row for each kind of speech and noise."""
    print(
        f"\n{'speech':<15} {'noise':<7} {'cuts':>5} {'chance':>7} {'loudness':>9} {'detector':>9}"
    )
    noises: tuple[Callable[..., Sound], ...] = (nothing, white, pink, music)
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for seed in range(rounds):
        for name, speech in sources(directory, seconds, seed):
            spoken = likely_speech(speech)
            if name.startswith("bundled"):
                spoken |= loud(speech)
            heard = spoken & audible(speech)
            for noise in noises:
                counted = spoken if noise is nothing else heard
                pcm = mixed(speech, noise(len(speech), np.random.default_rng(seed)))
                row: dict[str, list[float]] = found.setdefault((name, noise.__name__), {})
                row.setdefault("chance", []).append(float(counted.mean()))
                for way, detector in (("loudness", None), ("detector", speech_likelihood)):
                    cuts, _ = planned(pcm, detector)
                    row.setdefault(way, []).extend(float(counted[cut]) for cut in cuts)
    for (name, kind), row in found.items():
        chance, *shares = (f"{np.mean(row[way]):.1%}" for way in ("chance", "loudness", "detector"))
        count = len(row["detector"])
        print(f"{name:<15} {kind:<7} {count:>5} {chance:>7} {shares[0]:>9} {shares[1]:>9}")


def print_times(directory: Path | None, hours: float) -> None:
    """How long the plan of one file of speech takes, in chunks of the default length."""
    name, speech = list(sources(directory, 600.0, 0))[-1]
    piece = mixed(speech, nothing(len(speech), np.random.default_rng(0)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pcm"
        with path.open("wb") as file:
            for _ in range(round(hours * 3600 * SAMPLE_RATE / len(piece))):
                piece.tofile(file)
        for way, detector in (("loudness", None), ("detector", speech_likelihood)):
            pcm: Any = np.memmap(path, dtype="<i2", mode="r")
            start, busy = time.perf_counter(), time.process_time()
            count = len(plan_chunks(pcm, detector=detector))
            took, busy = time.perf_counter() - start, time.process_time() - busy
            print(
                f"{name}, {len(pcm) / SAMPLE_RATE / 3600:.1f} h, {count} chunks, by {way}: "
                f"{took:.1f} s, {busy:.1f} s of a processor"
            )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path, help="a directory of recordings")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each kind of speech")
    parser.add_argument("--rounds", type=int, default=3, help="each with other speech and noise")
    parser.add_argument("--hours", type=float, default=10.0, help="of the file that is timed")
    given = parser.parse_args()
    print_machine()
    speech_likelihood(np.zeros(SAMPLE_RATE, np.float32))  # load the model
    print_cuts(given.speech, given.minutes * 60, given.rounds)
    print()
    print_times(given.speech, given.hours)


if __name__ == "__main__":
    main()
