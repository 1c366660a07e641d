"""Speech for tests: held-out utterances, and recordings of any length made of them.

Every word and its speaker are known, so a transcript can be checked word for
word. Needs only numpy, PyAV and the bundled data.
"""

from __future__ import annotations

import functools
import json
import random
import wave
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests import DATA

SAMPLE_RATE = 16_000
NOISE = 0.001  # standard deviation of the noise in the gaps; speech peaks at 0.7

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence of one voice, at its place in seconds."""

    text: str  # lower case, no punctuation
    language: str  # en or es
    voice: str  # engine:name, the speaker
    start: float
    end: float
    samples: Samples = field(repr=False, compare=False)


def read_audio(path: Path) -> Samples:
    """A file's sound as mono float32 at 16 kHz."""
    import av  # late: a light installation has none

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        frames = [
            piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)
        ]
    frames += resampler.resample(None)
    levels = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return levels.astype(np.float32) / np.float32(32768)


def read_utterances(audio: Path, reference: Path) -> list[Utterance]:
    """The utterances of a file whose reference lists text, language, voice, start and end."""
    sound = read_audio(audio)
    sound.setflags(write=False)
    return [
        Utterance(**entry, samples=_cut(sound, entry["start"], entry["end"]))
        for entry in json.loads(reference.read_text(encoding="utf-8"))
    ]


def heldout(language: str | None = None) -> list[Utterance]:
    """The 200 utterances that pico was not trained on; start and end are those in heldout.ogg."""
    return [said for said in _heldout() if language in (None, said.language)]


def recording(
    seconds: float,
    *,
    seed: int = 0,
    language: str | None = "en",
    gap: tuple[float, float] = (0.4, 1.2),
    voices: Collection[str] | None = None,
) -> tuple[Samples, list[Utterance]]:
    """At least so many seconds of utterances, with gaps of low noise around each.

    The same arguments give the same recording. Start and end count from the
    recording's start. `language=None` mixes both languages; `voices` are all or those.
    """
    dice = random.Random(seed)
    parts: list[Samples] = []
    said: list[Utterance] = []
    position = 0
    noise = np.random.default_rng(seed)
    known = [said for said in heldout(language) if voices is None or said.voice in voices]
    for spoken in _endlessly(known, dice):
        quiet = int(dice.uniform(*gap) * SAMPLE_RATE)
        parts.append(NOISE * noise.standard_normal(quiet, dtype=np.float32))
        position += quiet
        if position >= seconds * SAMPLE_RATE:
            break
        parts.append(spoken.samples)
        start, position = position, position + len(spoken.samples)
        said.append(replace(spoken, start=start / SAMPLE_RATE, end=position / SAMPLE_RATE))
    return np.concatenate(parts), said


def write_wav(path: Path, samples: Samples) -> Path:
    """Write mono 16-bit PCM at 16 kHz and return the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@functools.cache
def _heldout() -> tuple[Utterance, ...]:
    return tuple(read_utterances(DATA / "heldout.ogg", DATA / "heldout.json"))


def _endlessly(utterances: list[Utterance], dice: random.Random) -> Iterator[Utterance]:
    while True:
        yield from dice.sample(utterances, len(utterances))


def _cut(sound: Samples, start: float, end: float) -> Samples:
    return sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def telephone_call() -> Path:
    """Thirty seconds of a real telephone call, out of pyannote.audio's package.

    The package is not imported: it warns where FFmpeg's libraries are missing.
    """
    package = find_spec("pyannote.audio")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "sample" / "sample.wav"
