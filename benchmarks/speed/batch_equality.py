"""Is what a model says of a window equal to the bit, alone and in a batch with other windows?

    python -m benchmarks.speed.batch_equality [--models tiny.en base] [--types int8 float32]

Windows of real speech, packed as a worker packs them; greedy, at temperature 0. A window is heard
alone and in batches of 2, 4, 8 and 16 with other neighbours in each. The file that `--json` names
keeps what it holds of other models and types.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, recordings, samples
from benchmarks.machine import describe_machine
from benchmarks.on_gpu.bench import GREEDY
from benchmarks.on_gpu.equality import Equality, batch_equality
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.faster_whisper import load
from gpu_worker.transcription.windows import pack_windows

RESULTS = Path(__file__).resolve().parents[1] / "results" / "batch_equality.json"


def real_windows(speech: Path | None, lengths: Sequence[float], count: int) -> list[Audio]:
    """The first windows of every English recording, of at most each length, in turns."""
    by_recording = []
    for recording in recordings(speech):
        if recording.language != "en":
            continue
        audio = samples(recording.path)
        for length in lengths:
            packed = pack_windows(speech_spans(audio, length), int(length * SAMPLE_RATE))
            by_recording.append([window.cut(audio) for window in packed])
    most = max(map(len, by_recording))
    turns = [found[turn] for turn in range(most) for found in by_recording if turn < len(found)]
    return turns[:count]


def table(name: str, rows: Sequence[Equality]) -> str:
    """Lines for people."""
    return "\n".join(
        f"{name:<18} {row.size:>3} {row.windows:>8} {row.equal_tokens:>7} {row.equal_text:>6} "
        f"{row.equal_probabilities:>14} {row.equal_word_times:>11} {row.equal_word_scores:>7} "
        f"{row.largest_probability_difference:>10.1e} {row.largest_score_difference:>8.1e} "
        f"{row.largest_time_difference:>7.2f}"
        for row in rows
    )


def main() -> None:
    """Print and write a table for each model and compute type."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", default=list(NAMES))
    parser.add_argument("--types", nargs="+", default=["int8", "float32"])
    parser.add_argument("--lengths", nargs="+", type=float, default=[30.0], help="seconds")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    windows = real_windows(given.speech, given.lengths, given.windows)
    report: dict[str, Any] = {"results": {}}
    if given.json.is_file():
        report = json.loads(given.json.read_text(encoding="utf-8"))
    report["machine"] = describe_machine()
    print(
        f"{'':<18}{'batch':>4} windows  tokens   text  probabilities  word times  scores "
        "of which the largest differences: probability, score, seconds"
    )
    for model in given.models:
        directory = str(whisper_files(model).directory)
        for compute_type in given.types:
            request = EngineRequest(directory, device="cpu", compute_type=compute_type)
            rows = batch_equality(load(request), windows, GREEDY)
            name = f"{model} {compute_type}"
            print(table(name, rows), flush=True)
            report["results"][name] = [asdict(row) for row in rows]
            given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
