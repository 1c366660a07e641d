"""Recordings with references: who really speaks when.

They are given by path, as none but those in packages may be taken into the repository.
"""

from __future__ import annotations

import argparse
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gpu_worker.audio.decoding import decode
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

JOINED = "joined"


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples, and who really speaks when."""

    name: str
    samples: Audio
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE


def read_recording(audio: Path, rttm: Path, uri: str) -> Recording:
    """Decode a file, and find its turns in an RTTM of several."""
    with tempfile.TemporaryDirectory() as scratch:
        decode(audio, Path(scratch) / "pcm")
        samples = np.fromfile(Path(scratch) / "pcm", dtype="<i2") / 32768
    lines = [line.split() for line in rttm.read_text(encoding="utf-8").splitlines()]
    turns = tuple(
        Turn(float(start), float(start) + float(length), speaker)
        for _, name, _, start, length, _, _, speaker, *_ in lines
        if name == uri
    )
    if not turns:
        raise ValueError(f"{rttm} has nothing about {uri!r}.")
    return Recording(uri, samples.astype(np.float32), turns)


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Add the option that names recordings; may be given several times."""
    parser.add_argument(
        "--recording", nargs=3, action="append", default=[], metavar=("AUDIO", "RTTM", "URI")
    )


def read_given(given: argparse.Namespace) -> list[Recording]:
    """pyannote's sample, the recordings that were given, and if there are any, all joined."""
    found = [read_sample()]
    found += [read_recording(Path(a), Path(b), uri) for a, b, uri in given.recording]
    return [*found, join(found)] if len(found) > 1 else found


def join(recordings: Sequence[Recording]) -> Recording:
    """One after the other; who has the same name in two of them is the same person."""
    turns: list[Turn] = []
    begin = 0.0
    for recording in recordings:
        turns += (Turn(t.start + begin, t.end + begin, t.speaker) for t in recording.turns)
        begin += recording.seconds
    return Recording(JOINED, np.concatenate([r.samples for r in recordings]), tuple(turns))


def read_sample() -> Recording:
    """Half a minute of two people on the telephone, which pyannote.audio brings along."""
    package = find_spec("pyannote.audio")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "sample" / "sample.wav"
    return read_recording(path, path.with_suffix(".rttm"), "sample")


def write_wav(recording: Recording, directory: Path) -> Path:
    """Its samples as a file of 16 bits, in the directory."""
    path = directory / f"{recording.name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((recording.samples * 32768).astype("<i2").tobytes())
    return path
