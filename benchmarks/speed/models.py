"""The models that are measured: real ones, and synthetic ones of the true size."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.accuracy.models import whisper_files
from benchmarks.speed.random_whisper import SIZES, write_random_whisper
from benchmarks.speed.sides import Setup

SYNTHETIC = {f"{size}-random": size for size in SIZES}


def setup_of(name: str, model_directory: Path | None, scratch: Path, forced_tokens: int) -> Setup:
    """A real model by its name, or one with random weights, which is written first.

    Random weights say nothing about words; each window gets as many tokens as are told.
    """
    threads = os.cpu_count() or 1
    if name in SYNTHETIC:
        directory = str(write_random_whisper(scratch / name, SIZES[SYNTHETIC[name]]))
        return Setup(directory, directory, threads, forced_tokens)
    files = whisper_files(name, model_directory)
    return Setup(files.job, str(files.directory), threads)
