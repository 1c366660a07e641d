"""Transcribe a labelled set by one engine, in this process and without a cluster.

    python -m gpu_worker.accuracy.measuring < REQUEST

prints the word errors and the seconds as JSON, or the error that ended it. `scriptorium bench
accuracy` asks so, once for each variant: each has the memory to itself, and the control plane
loads no model library.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu_worker.accuracy.labelled import labelled_files
from gpu_worker.accuracy.word_error import WordError
from gpu_worker.audio.decoding import decode
from gpu_worker.audio.samples import Audio, pcm_to_audio
from gpu_worker.audio.vad import speech_spans
from gpu_worker.errors import LibraryMissing, ScriptoriumError
from gpu_worker.loaded import load_engine
from gpu_worker.models.capabilities import is_english_only
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest
from gpu_worker.transcription.hearing import known_speech
from gpu_worker.transcription.languages import detect_language
from gpu_worker.transcription.windows import pack_windows
from gpu_worker.words import join_texts

DETECTING_WINDOWS = 5  # as many as a job's language is detected from
NO_LANGUAGE = "en"  # of a recording without speech


@dataclass(frozen=True, slots=True)
class Measured:
    """The sums over a labelled set."""

    error: WordError
    seconds: float
    audio_seconds: float


def measure(
    directory: Path, request: EngineRequest, options: DecodeOptions, batch_size: int
) -> Measured:
    """Transcribe every recording as one chunk, and sum errors and seconds.

    The model's loading, decoding of files and detection of languages are not in the seconds.
    Raises what these, the engine and `labelled_files` raise.
    """
    from gpu_worker.accuracy.counting import word_error  # late: it needs the extra `bench`

    files = labelled_files(directory)
    engine = load_engine(request)
    speech_spans(known_speech(), engine.max_window_seconds)  # loads the detector of speech
    words = errors = 0
    seconds = audio_seconds = 0.0
    for file in files:
        audio = _audio(file.path)
        language = options.language or _language(engine, request.model, audio)
        given = replace(options, language=language)
        started = time.perf_counter()
        heard = transcribe_chunk(engine, audio, given, batch_size=batch_size)
        seconds += time.perf_counter() - started
        found = word_error(file.text, join_texts(it.text for it in heard.segments), language)
        words, errors = words + found.words, errors + found.errors
        audio_seconds += len(audio) / SAMPLE_RATE
    return Measured(WordError(words, errors), seconds, audio_seconds)


def _audio(path: Path) -> Audio:
    with tempfile.TemporaryDirectory() as scratch:
        pcm = Path(scratch) / "pcm"
        decode(path, pcm)
        return pcm_to_audio(pcm.read_bytes())


def _language(engine: Engine, model: str, audio: Audio) -> str:
    if is_english_only(model):
        return "en"
    spans = speech_spans(audio, engine.max_window_seconds)
    windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    step = -(-len(windows) // DETECTING_WINDOWS) or 1  # spread over the recording
    return detect_language(engine, [it.cut(audio) for it in windows[::step]]) or NO_LANGUAGE


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Measure as the request says; return the sums, or the error. Both are JSON."""
    listed = ("temperatures", "suppress_tokens")
    options = request["options"] | {name: tuple(request["options"][name]) for name in listed}
    try:
        found = measure(
            Path(request["directory"]),
            EngineRequest(**request["engine"]),
            DecodeOptions(**options),
            request["batch_size"],
        )
    except ImportError as error:
        return {"error": _missing(error).to_json()}
    except ScriptoriumError as error:
        return {"error": error.to_json()}
    return {
        "words": found.error.words,
        "errors": found.error.errors,
        "seconds": found.seconds,
        "audio_seconds": found.audio_seconds,
    }


def _missing(error: ImportError) -> LibraryMissing:
    return LibraryMissing(
        f"{error.name} is not installed.",
        hint="Install two extras: pip install 'scriptorium[worker,bench]'.",
    )


def main() -> None:
    """Answer the request on standard input; what libraries print goes to standard error."""
    with redirect_stdout(sys.stderr):
        answered = answer(json.load(sys.stdin))
    print(json.dumps(answered))


if __name__ == "__main__":
    main()
