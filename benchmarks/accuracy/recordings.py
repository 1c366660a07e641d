"""The recordings that are judged, each with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpu_worker.accuracy.references import read_rttm, read_stm, read_word_times
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn, Word

SPEECH = Path(__file__).resolve().parents[2].parent / "shared" / "speech"
GERMAN = ("german",)  # all others are English
SPOKEN_WORDS = ("jfk", "sonnet1", "sonnet2", "german", "austen-0870", "austen-0880", "austen-0890")
MEETINGS = ("meeting-dev00", "meeting-dev01", "meeting-tst00")


@dataclass(frozen=True, slots=True)
class Recording:
    """One file and its references; what is not known is empty."""

    name: str
    path: Path
    language: str
    text: str = ""  # what is said
    words: tuple[Word, ...] = ()  # with times by an HMM aligner, in steps of 10 ms
    turns: tuple[Turn, ...] = ()  # who speaks when
    texts: tuple[tuple[str, str], ...] = ()  # speaker and what they say, in order of time


def recordings(speech: Path | None) -> tuple[Recording, ...]:
    """pyannote.audio's own sample, and those of the directory `speech` if there is one.

    Raises FileNotFoundError if the directory lacks one of its files.
    """
    found = [pyannote_sample()]
    if speech is not None:
        found += [_spoken(speech, name) for name in SPOKEN_WORDS]
        turns = read_rttm(speech / "meeting.rttm")
        found += [_meeting(speech, name, turns) for name in MEETINGS]
    return tuple(found)


def pyannote_sample() -> Recording:
    """Thirty seconds of a telephone conversation, part of the package pyannote.audio."""
    package = find_spec("pyannote.audio")
    if package is None or package.origin is None:
        raise FileNotFoundError("pyannote.audio is not installed; run `make install`.")
    sample = Path(package.origin).parent / "sample" / "sample.wav"
    lines = read_stm(sample.with_suffix(".stm"))
    return Recording(
        name="pyannote-sample",
        path=sample,
        language="en",
        text=" ".join(text for _, text in lines),
        turns=read_rttm(sample.with_suffix(".rttm"))["sample"],
        texts=lines,
    )


def samples(path: Path) -> npt.NDArray[np.float32]:
    """The file as mono samples at 16 kHz, shape (samples,)."""
    from faster_whisper import decode_audio

    decoded: npt.NDArray[np.float32] = decode_audio(str(path), sampling_rate=SAMPLE_RATE)
    return decoded


def _spoken(speech: Path, name: str) -> Recording:
    path = next(
        speech / f"{name}{suffix}"
        for suffix in (".flac", ".mp3", ".wav")
        if (speech / f"{name}{suffix}").is_file()
    )
    times = speech / f"{name}.words.json"
    return Recording(
        name=name,
        path=path,
        language="de" if name in GERMAN else "en",
        text=path.with_suffix(".txt").read_text(encoding="utf-8").strip(),
        words=read_word_times(times) if times.is_file() else (),
    )


def _meeting(speech: Path, name: str, turns: dict[str, tuple[Turn, ...]]) -> Recording:
    return Recording(
        name, speech / f"{name}.flac", "en", turns=turns[name.removeprefix("meeting-")]
    )
