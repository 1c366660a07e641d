"""Who speaks when, against a reference: DER, cpWER and the number of speakers.

    python -m benchmarks.speakers.diarization_error [--minutes 30] [--seed 30]
        [--side cluster baseline] [--num-speakers N] [--audio FILE] [--json FILE]

The cluster is the product as a user runs it: a job with `diarize` on a local cluster. The
baseline is pyannote.audio's pipeline in one process with the same models; it has no words.
Without --audio the synthetic conversation of `scripts/make_conversation.py` is made, which
needs espeak-ng and flite; --audio names another one with its reference beside it. DER is
pyannote.metrics' DiarizationErrorRate(collar=0.25, skip_overlap=False).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import ProcessorTime, describe_machine, print_machine
from config.settings import Settings
from gpu_worker.accuracy.speaker_scores import cp_word_error, diarization_error
from gpu_worker.audio.decoding import decode
from gpu_worker.builtin import PICO_VOICE
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Turn

TENANT = "default"
BOUND = 0.10  # DER, at most, with an unknown number of speakers


@dataclass(frozen=True, slots=True)
class Reference:
    """What is really said; texts by speaker, words in order of time."""

    seconds: float
    turns: tuple[Turn, ...]
    texts: dict[str, str]
    words: str  # all of them


@dataclass(frozen=True, slots=True)
class Heard:
    """What one side says about it; no texts from a side that has no words."""

    turns: tuple[Turn, ...]
    texts: dict[str, str]
    words: str
    seconds: float
    cpu_seconds: float


def read_reference(path: Path) -> Reference:
    """The .json that make_conversation wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    turns = tuple(Turn(turn["start"], turn["end"], turn["speaker"]) for turn in data["turns"])
    words = [(turn["speaker"], turn["text"]) for turn in data["turns"]]
    whole = " ".join(text for _, text in words)
    return Reference(data["seconds"], turns, texts_by_speaker(words), whole)


def texts_by_speaker(said: Sequence[tuple[str | None, str]]) -> dict[str, str]:
    """Join what each speaker says; text without a speaker has the name ""."""
    texts: dict[str, list[str]] = {}
    for speaker, text in said:
        texts.setdefault(speaker or "", []).append(text)
    return {speaker: " ".join(parts) for speaker, parts in texts.items()}


def run_cluster(audio: Path, bounds: dict[str, int], workers: int, scratch: Path) -> Heard:
    """A job on a local cluster; its time includes loading the models."""
    from orchestrator.jobs.following import follow
    from orchestrator.jobs.sources import upload
    from orchestrator.jobs.submission import submit
    from orchestrator.local.cluster import LocalCluster
    from tasks.runs.submitted_options import job_options

    options = job_options({"model": "pico", "language": "en", "diarize": True} | bounds)
    with LocalCluster(Settings(home=scratch / "home"), workers=workers, adopt=False) as cluster:
        connection, clock, began = (
            cluster.services,
            ProcessorTime(os.getpid()),
            time.perf_counter(),
        )
        job = submit(connection, upload(connection, audio, TENANT), options, tenant=TENANT).id
        for seen in follow(connection, TENANT, [job]):
            if seen.status.final and seen.status != "completed":
                raise RuntimeError(f"Job {seen.id} is {seen.status}: {seen.error}")
        seconds, cpu = time.perf_counter() - began, clock.stop()[0]
        transcript = connection.result(TENANT, job)["transcript"]
    lines = [(line.get("speaker"), line["text"]) for line in transcript["segments"]]
    turns = (Turn(turn["start"], turn["end"], turn["speaker"]) for turn in transcript["turns"])
    texts = texts_by_speaker(lines)
    return Heard(tuple(turns), texts, transcript["text"], seconds, cpu)


def run_baseline(audio: Path, bounds: dict[str, int], scratch: Path) -> Heard:
    """pyannote's pipeline in this process; its time is without loading the models."""
    import torch

    from benchmarks.speakers.diarization_baseline import (
        diarize,
        load_pipeline,
        load_recipe,
        pyannote_file,
    )

    torch.set_num_threads(1)  # else waiting threads count as work
    decode(audio, scratch / "pcm")
    samples = np.fromfile(scratch / "pcm", dtype="<i2").astype(np.float32) / 32768
    pipeline = load_pipeline(PICO_VOICE, load_recipe(PICO_VOICE))
    began, cpu = time.perf_counter(), time.process_time()
    turns = tuple(diarize(pipeline, pyannote_file(samples), **bounds))
    return Heard(turns, {}, "", time.perf_counter() - began, time.process_time() - cpu)


def score(side: str, reference: Reference, heard: Heard) -> dict[str, Any]:
    """One row."""
    found = diarization_error(reference.turns, heard.turns, reference.seconds)
    words = cp_word_error(reference.texts, heard.texts) if heard.texts else None
    alone = cp_word_error({"": reference.words}, {"": heard.words}) if heard.texts else None
    return {
        "side": side,
        "speakers": len({turn.speaker for turn in heard.turns}),
        "der": round(found.rate, 4),
        "missed": round(found.missed / found.scored, 4),
        "false_alarm": round(found.false_alarm / found.scored, 4),
        "confusion": round(found.confusion / found.scored, 4),
        "cpwer": round(words.rate, 4) if words else None,
        "wer": round(alone.rate, 4) if alone else None,  # of all speakers
        "seconds": round(heard.seconds, 1),
        "cpu_seconds_a_minute": round(60 * heard.cpu_seconds / reference.seconds, 2),
    }


def conversation(given: argparse.Namespace, scratch: Path) -> Path:
    """The given file, or one that is made now."""
    if given.audio:
        return Path(given.audio)
    from scripts.make_conversation import VOICES, converse, write

    path = scratch / "conversation.wav"
    write(path, *converse(list(VOICES), given.minutes, given.seed))
    return path


def main() -> int:
    """Print a row a side; exit status 1 if a DER is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", nargs="+", choices=["cluster", "baseline"], default=["cluster"])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=30)
    parser.add_argument("--audio", type=Path, default=None, help="its reference is the .json")
    parser.add_argument("--num-speakers", type=int, default=None, help="default: not known")
    parser.add_argument("--workers", type=int, default=2, help="GPU workers of the cluster")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    bounds = {"num_speakers": given.num_speakers} if given.num_speakers else {}
    print_machine()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="scriptorium-benchmark-") as name:
        scratch = Path(name)
        audio = conversation(given, scratch)
        reference = read_reference(audio.with_suffix(".json"))
        people = len({turn.speaker for turn in reference.turns})
        print(f"\n{reference.seconds / 60:.1f} minutes, {people} speakers, {SAMPLE_RATE} Hz")
        for side in given.side:
            heard = (
                run_cluster(audio, bounds, given.workers, scratch)
                if side == "cluster"
                else run_baseline(audio, bounds, scratch)
            )
            rows.append(score(side, reference, heard))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"machine": describe_machine(), "rows": rows}, indent=1))
    return 0 if all(row["der"] <= BOUND for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
