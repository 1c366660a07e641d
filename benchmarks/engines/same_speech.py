"""What the engine `torch` makes of real speech, beside faster-whisper in float32.

    python -m benchmarks.engines.same_speech [--models tiny.en base]
        [--types float32 default bfloat16] [--speech DIRECTORY] [--json FILE]

Both hear the same windows. Of each type: how many windows have the same text, and those that have
not; the word error rate of all recordings with a text; how far words' starts and ends are from an
HMM aligner's, and from faster-whisper's; and of how many windows the result in a batch is that
alone. Greedy, without
fallback: a text drawn by chance says nothing about an engine. `default` encodes in bfloat16 where
the processor has it, and decodes in float32.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy.models import NAMES, whisper_files
from benchmarks.accuracy.recordings import SPEECH, Recording, recordings, samples
from benchmarks.machine import describe_machine
from benchmarks.on_gpu.equality import Equality, Heard, batches, compared
from gpu_worker.accuracy.counting import word_error
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.accuracy.word_times import NO_ERRORS, spread, time_errors
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, WindowText
from gpu_worker.transcription.engines.faster_whisper import load as load_faster_whisper
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine, _with_words
from gpu_worker.transcription.engines.torch_whisper.loading import load as load_torch
from gpu_worker.transcription.windows import Window, pack_windows

RESULTS = Path(__file__).resolve().parents[1] / "results" / "torch_speech.json"
PEER = "faster-whisper float32"
SIZES = (2, 6)
AT_ONCE = 6  # windows, as on a CPU worker


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording, packed as a worker packs it."""

    recording: Recording
    windows: tuple[Window, ...]
    cut: tuple[Audio, ...]


def sounds(chosen: Sequence[Recording]) -> list[Sound]:
    """All recordings in windows of at most 30 s."""
    found = []
    for recording in chosen:
        audio = samples(recording.path)
        windows = pack_windows(speech_spans(audio, 30.0), 30 * SAMPLE_RATE)
        found.append(Sound(recording, windows, tuple(window.cut(audio) for window in windows)))
    return found


def options(language: str) -> DecodeOptions:
    """Greedy."""
    return DecodeOptions(language=language, temperatures=(0.0,))


def heard(engine: Engine, chosen: Sequence[Sound]) -> list[list[WindowText]]:
    """The texts of all windows, by recording."""
    found = []
    for sound in chosen:
        texts: list[WindowText] = []
        for first in range(0, len(sound.cut), AT_ONCE):
            batch = sound.cut[first : first + AT_ONCE]
            texts += engine.transcribe(batch, options(sound.recording.language))
        found.append(texts)
    return found


def errors(chosen: Sequence[Sound], texts: Sequence[Sequence[WindowText]]) -> WordError:
    """Word errors of all recordings whose text is known."""
    pairs = [
        word_error(
            sound.recording.text, " ".join(one.text for one in own), sound.recording.language
        )
        for sound, own in zip(chosen, texts, strict=True)
        if sound.recording.text
    ]
    return WordError(sum(pair.words for pair in pairs), sum(pair.errors for pair in pairs))


def words(sound: Sound, texts: Sequence[WindowText]) -> list[Word]:
    """The words of a recording, with times from its start."""
    placed = (window.place(text.words) for window, text in zip(sound.windows, texts, strict=True))
    return [word for found in placed for word in found]


def times(
    chosen: Sequence[Sound],
    texts: Sequence[Sequence[WindowText]],
    reference: Mapping[str, Sequence[Word]],
) -> dict[str, Any]:
    """Errors of starts and ends against the words of a reference, in milliseconds."""
    total = NO_ERRORS
    for sound, own in zip(chosen, texts, strict=True):
        known = reference.get(sound.recording.name, ())
        total += time_errors(known, words(sound, own), sound.recording.language)
    return {"starts": _figures(total.starts), "ends": _figures(total.ends)}


def _figures(found: Sequence[float]) -> dict[str, int]:
    row = spread(found)
    return {
        "compared": row.count,
        "median_ms": round(1000 * row.median) if row.count else 0,
        "p95_ms": round(1000 * row.p95) if row.count else 0,
        "signed_median_ms": round(1000 * row.signed_median) if row.count else 0,
    }


def in_company(engine: TorchEngine, windows: Sequence[Audio], language: str) -> list[Equality]:
    """Each window alone, and in batches with other neighbours."""
    order = engine._order(options(language))

    def hear(batch: Sequence[Audio]) -> list[Heard]:
        with torch.inference_mode():
            attempts = engine._attempt(engine._encode(batch), batch, order, 0.0)
        texts = [
            _with_words(attempt, window, order.tokenizer)
            for attempt, window in zip(attempts, batch, strict=True)
        ]
        return [
            Heard(attempt.tokens, text.text, (text.avg_logprob, text.no_speech_prob), text.words)
            for attempt, text in zip(attempts, texts, strict=True)
        ]

    alone = [hear([window])[0] for window in windows]
    rows = []
    for size in SIZES:
        pairs: list[tuple[Heard, Heard]] = []
        for batch in batches(len(windows), size):
            together = hear([windows[index] for index in batch])
            pairs += zip((alone[index] for index in batch), together, strict=True)
        rows.append(compared(size, pairs))
    return rows


def report_of(
    name: str, kind: str, chosen: Sequence[Sound], peer: Sequence[Sequence[WindowText]]
) -> dict[str, Any]:
    """All figures of one type."""
    files = whisper_files(name)
    engine = load_torch(EngineRequest(files.job, device="cpu", compute_type=kind))
    own = heard(engine, chosen)
    pairs = [
        (sound.recording.name, number, mine.text, other.text)
        for sound, ours, theirs in zip(chosen, own, peer, strict=True)
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True))
    ]
    error = errors(chosen, own)
    english = [
        window for sound in chosen for window in sound.cut if sound.recording.language == "en"
    ]
    by_hmm = {sound.recording.name: sound.recording.words for sound in chosen}
    by_peer = {
        sound.recording.name: words(sound, texts) for sound, texts in zip(chosen, peer, strict=True)
    }
    return {
        "windows": len(pairs),
        "equal_text": sum(mine == other for *_, mine, other in pairs),
        "different": [
            {"recording": recording, "window": number, "torch": mine, "faster_whisper": other}
            for recording, number, mine, other in pairs
            if mine != other
        ],
        "words": error.words,
        "wer_percent": round(100 * error.rate, 2),
        "against_hmm": times(chosen, own, by_hmm),
        "against_faster_whisper": times(chosen, own, by_peer),
        "in_company": [asdict(row) for row in in_company(engine, english[:8], "en")],
    }


def main() -> None:
    """Print the figures of each model and type, and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--types", nargs="+", default=["float32", "default", "bfloat16"])
    parser.add_argument("--speech", type=Path, default=SPEECH if SPEECH.is_dir() else None)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    known = sounds(recordings(given.speech))
    report: dict[str, Any] = {"results": {}}
    if given.json.is_file():  # what it holds of other models and types is kept
        report = json.loads(given.json.read_text(encoding="utf-8"))
    report["machine"] = describe_machine() | {"torch": torch.__version__}
    for name in given.models:
        files = whisper_files(name)
        chosen = [s for s in known if s.recording.language == "en" or not files.is_english]
        engine = load_faster_whisper(EngineRequest(files.job, device="cpu", compute_type="float32"))
        peer = heard(engine, chosen)
        error = errors(chosen, peer)
        by_hmm = {sound.recording.name: sound.recording.words for sound in chosen}
        report["results"][f"{name} {PEER}"] = {
            "words": error.words,
            "wer_percent": round(100 * error.rate, 2),
            "against_hmm": times(chosen, peer, by_hmm),
        }
        for kind in given.types:
            row = report["results"][f"{name} torch {kind}"] = report_of(name, kind, chosen, peer)
            shown = {key: value for key, value in row.items() if key != "different"}
            print(f"{name} torch {kind}", json.dumps(shown), flush=True)
            written = json.dumps(report, indent=1, ensure_ascii=False)
            given.json.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
