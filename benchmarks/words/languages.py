"""How well several languages in one file are heard, beside other ways to do it.

    python -m benchmarks.words.languages --speech DIRECTORY [--spanish FILE] [--seeds 5]

The directory holds `multilingual.mp3`, and recordings of one language with a `.txt` each: `jfk`,
`sonnet1` and `sonnet2` (English) and `german`. Of the Spanish recording, with a `.txt` beside it,
only the second half is used, as the first one served to choose thresholds. A mixture takes parts of
4 to 15 s of the three languages in turn, each recording from its begin to its end, with silence of
a random length between them.

For each file and way: the share of the time of speech that has the right language, and the word
error rate by language. The ways are `languages` (the option of a job), `one` (one detected language
for the whole file) and `peer` (faster-whisper's `multilingual=True`, with its VAD). A moment has
the language of the line nearest to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel, decode_audio

from benchmarks.accuracy.models import whisper_files
from benchmarks.machine import describe_machine, print_machine
from benchmarks.words.mixtures import Case, Part, mixture, quiet_near
from gpu_worker.accuracy.counting import word_error
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.loaded import load_engine
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest
from gpu_worker.transcription.language_runs import LanguageChoice
from gpu_worker.transcription.languages import detect_language
from gpu_worker.transcription.windows import pack_windows

ALLOWED = ("de", "en", "es", "fr")
BEAMS = 5
PAUSES = {"pauses": (0.3, 1.0), "short pauses": (0.1, 0.3), "no pauses": (0.0, 0.0)}  # in seconds
FIRST_SEED = 7
STEP_SECONDS = 0.1
WAYS = ("languages", "one", "peer")
WINDOW_SECONDS = 30.0


# By ear, of each second decoded in each language with `base`: German is invented as English from
# 30.6 s on (mean log probability -0.79 for -0.13), English as German before 29.5 s.
MULTILINGUAL = (Part(0.0, 30.0, "en"), Part(30.0, 60.0, "de"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was written, in seconds of the file."""

    start: float
    end: float
    text: str
    language: str


def ours(engine: Engine, audio: Audio, allowed: Sequence[str] | None) -> list[Line]:
    """The lines with the option `languages`, or with one detected language."""
    spans = speech_spans(audio, WINDOW_SECONDS, None)
    windows = pack_windows(spans, int(WINDOW_SECONDS * SAMPLE_RATE))
    one = None if allowed else detect_language(engine, [window.cut(audio) for window in windows])
    heard = transcribe_chunk(
        engine,
        audio,
        DecodeOptions(language=one, beam_size=BEAMS),
        languages=LanguageChoice(tuple(allowed)) if allowed else None,
    )
    return [
        Line(word.start, word.end, word.word, segment.language or one or "")
        for segment in heard.segments
        for word in segment.words
    ]


class _Listening:
    """A CTranslate2 model that remembers which language it detected last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.language = ""

    def detect_language(self, encoded: Any) -> Any:
        """Detect as the model does."""
        found = self._model.detect_language(encoded)
        self.language = found[0][0][0].strip("<|>")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def peers(directory: Path, audio: Audio) -> list[Line]:
    """The words of faster-whisper with `multilingual=True`."""
    model = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    model.model = listening = _Listening(model.model)
    segments, _ = model.transcribe(
        audio, beam_size=BEAMS, multilingual=True, vad_filter=True, word_timestamps=True
    )
    return [
        Line(word.start, word.end, word.word.strip(), listening.language)
        for segment in segments  # lazy, so the language is still that of its window
        for word in segment.words or ()
    ]


def right_share(case: Case, lines: Sequence[Line]) -> float:
    """The share of the time of speech whose nearest line has the right language."""
    right = total = 0
    for span in speech_spans(case.audio, WINDOW_SECONDS, None):
        for at in np.arange(span.start / SAMPLE_RATE, span.end / SAMPLE_RATE, STEP_SECONDS):
            part = next((part for part in case.parts if part.start <= at < part.end), None)
            if part is None:
                continue
            nearest = min(
                lines, key=lambda line: max(line.start - at, at - line.end, 0.0), default=None
            )
            right += nearest is not None and nearest.language == part.language
            total += 1
    return right / total


def error_rates(case: Case, lines: Sequence[Line]) -> dict[str, float]:
    """The word error rate of each language; a word belongs to the part that is nearest to it."""
    if not case.texts:
        return {}
    said: dict[str, list[str]] = {code: [] for code in case.texts}
    for line in lines:
        middle = (line.start + line.end) / 2
        part = min(case.parts, key=lambda part: max(part.start - middle, middle - part.end, 0.0))
        said[part.language].append(line.text)
    rates = {}
    everything = word_error("", "", "en")
    for code, text in case.texts.items():
        error = word_error(text, " ".join(said[code]), code)
        rates[code] = round(error.rate, 4)
        everything += error
    return rates | {"all": round(everything.rate, 4)}


def second_half(engine: Engine, path: Path) -> tuple[Audio, str]:
    """The second half of a Spanish recording, from a pause on, and the text from there."""
    audio = decode_audio(str(path))
    cut = quiet_near(audio, len(audio) // 2)
    heard = transcribe_chunk(engine, audio[cut:], DecodeOptions(language="es", beam_size=BEAMS))
    words = path.with_suffix(".txt").read_text().split()
    found = [word.word for segment in heard.segments for word in segment.words]
    match = SequenceMatcher(None, _plain(words), _plain(found), autojunk=False)
    first = next(block for block in match.get_matching_blocks() if block.size >= 3)
    return audio[cut:], " ".join(words[max(0, first.a - first.b) :])


def _plain(words: Sequence[str]) -> list[str]:
    return ["".join(filter(str.isalnum, word.lower())) for word in words]


def cases(engine: Engine, speech: Path, spanish: Path | None, seeds: int) -> list[Case]:
    """The file of two languages, and mixtures of each kind, so many of them."""
    names = {"en": ("jfk.flac", "sonnet1.mp3", "sonnet2.mp3"), "de": ("german.mp3",)}
    sources, texts = {}, {}
    for code, files in names.items():
        paths = [speech / name for name in files]
        sources[code] = np.concatenate([decode_audio(str(path)) for path in paths])
        texts[code] = " ".join(path.with_suffix(".txt").read_text() for path in paths)
    if spanish:
        sources["es"], texts["es"] = second_half(engine, spanish)
    two = Case("multilingual.mp3", decode_audio(str(speech / "multilingual.mp3")), MULTILINGUAL, {})
    mixed = [
        mixture(f"{name} {seed}", sources, texts, pause, seed)
        for name, pause in PAUSES.items()
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
    ]
    return [two, *mixed]


def main() -> None:
    """Print a row for each file and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--spanish", type=Path)
    parser.add_argument("--model", default="base")
    parser.add_argument("--seeds", type=int, default=1, help="mixtures of each kind of pause")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print_machine()
    files = whisper_files(given.model)
    engine = load_engine(EngineRequest(files.job, device="cpu", threads=1))
    ways: dict[str, Callable[[Audio], list[Line]]] = {
        "languages": lambda audio: ours(engine, audio, ALLOWED),
        "one": lambda audio: ours(engine, audio, None),
        "peer": lambda audio: peers(files.directory, audio),
    }
    rows = []
    print(f"\n{'file':<18}{'way':<11}{'right':>8}{'seconds':>9}  word error rate")
    for case in cases(engine, given.speech, given.spanish, given.seeds):
        for way in given.ways:
            started = time.perf_counter()
            lines = ways[way](case.audio)
            seconds = round(time.perf_counter() - started, 1)
            right, rates = round(right_share(case, lines), 4), error_rates(case, lines)
            told = ", ".join(f"{code} {rate:.1%}" for code, rate in rates.items())
            print(f"{case.name:<18}{way:<11}{right:>8.1%}{seconds:>9}  {told}", flush=True)
            rows.append(
                {"file": case.name, "way": way, "right": right, "seconds": seconds, "wer": rates}
            )
    if given.json:
        result = {"machine": describe_machine(), "model": given.model, "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
