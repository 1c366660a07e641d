"""What both sides are given: a model with matching options, and files of fresh audio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.random_whisper import END_OF_TEXT, write_random_whisper
from gpu_worker.builtin import PICO
from gpu_worker.models.whisper import longest_window
from tests.inputs.speech import SAMPLE_RATE, recording, write_wav


@dataclass(frozen=True, slots=True)
class Model:
    """What both sides load, and the options that make them do the same."""

    name: str
    directory: Path
    job: dict[str, Any]
    pipeline: dict[str, Any]


def model_named(name: str, directory: Path, batch_size: int, tokens: int) -> Model:
    """`tiny` is written into the directory first; pico has the cluster's default options."""
    if name == "pico":
        window = int(longest_window(PICO))
        same = {"language": "en", "batch_size": batch_size}
        alike = {"beam_size": 1, "word_timestamps": True, "chunk_length": window}
        return Model(name, PICO, same | {"model": name}, same | alike)
    write_random_whisper(directory)
    same = {
        "language": "en",
        "batch_size": batch_size,
        "beam_size": 1,
        "suppress_tokens": [-1, END_OF_TEXT],
        # CTranslate2 decodes half of `max_length`, which is the prompt's 4 tokens and these.
        "max_new_tokens": 2 * tokens - 4,
        "word_timestamps": False,
    }
    job = {"model": str(directory), "compute_type": "int8", "no_speech_threshold": None}
    return Model(
        name,
        directory,
        same | job | {"temperature_increment_on_fallback": None},
        same | {"temperature": 0.0},
    )


def write_files(
    directory: Path, workload: str, seed: int, minutes: float, count: int
) -> list[Path]:
    """One long file, or so many of one minute; every seed gives other audio."""
    directory.mkdir(parents=True, exist_ok=True)
    lengths = [60 * minutes] if workload == "long" else [60.0] * count
    return [
        write_wav(
            directory / f"{workload}-{seed}-{index}.wav",
            recording(seconds, seed=1000 * seed + index)[0][: int(seconds * SAMPLE_RATE)],
        )
        for index, seconds in enumerate(lengths)
    ]
