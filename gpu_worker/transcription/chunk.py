"""One chunk's audio to segments: speech, windows, batches, a second look, lines.

Takes an array and gives dataclasses in times of the whole file. Knows nothing of
where the samples came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from gpu_worker.audio.speech import SpeechSpan, VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.devices.batching import run_batches
from gpu_worker.heard import ChunkTranscript
from gpu_worker.transcript import SAMPLE_RATE, Notice
from gpu_worker.transcription.decoded import TIME_DIGITS, DecodedWindow, heard_window
from gpu_worker.transcription.engines import Audio, DecodeOptions, Engine
from gpu_worker.transcription.second_look import second_look
from gpu_worker.transcription.windows import Window, pack_windows


def transcribe_chunk(
    engine: Engine,
    audio: Audio,
    options: DecodeOptions,
    *,
    first_sample: int = 0,
    batch_size: int = 16,
    vad: VadOptions | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> ChunkTranscript:
    """Find the speech in `audio`, decode it, and time it from the start of the file.

    `first_sample` is the chunk's true position in the file. Words are timed in any case: their
    times say where lines end, and whether speech was passed over. Raises OutOfMemory, and what
    `before_batch` and the engine raise.
    """
    spans = speech_spans(audio, engine.max_window_seconds, vad)
    windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    if not windows:
        return ChunkTranscript(())
    timed = replace(options, word_timestamps=True)

    def decode(found: Sequence[Window]) -> list[DecodedWindow]:
        texts = run_batches(
            found,
            batch_size,
            lambda batch: engine.transcribe([window.cut(audio) for window in batch], timed),
            before_batch=before_batch,
        )
        return [DecodedWindow.of(*pair, timed) for pair in zip(found, texts, strict=True)]

    decoded, passed_over = second_look(audio, decode(windows), decode, vad)
    language = "en" if options.task == "translate" else options.language or ""
    shown = partial(
        heard_window, audio, first_sample=first_sample, language=language,
        with_words=options.word_timestamps,
    )  # fmt: skip
    return ChunkTranscript(
        tuple(map(shown, decoded)),
        (*engine.notices(options), *(_passed_over(span, first_sample) for span in passed_over)),
    )


def detect_language(engine: Engine, windows: Sequence[Audio]) -> str | None:
    """The language that most windows are in, or None if there are none.

    A tie goes to the language that the model is surer of.
    """
    if not windows:
        return None
    votes: Counter[str] = Counter()
    trust: Counter[str] = Counter()
    for found in engine.detect_languages(windows):
        votes[found.language] += 1
        trust[found.language] += found.probability  # type: ignore[assignment]  # Counter adds floats too
    return max(votes, key=lambda language: (votes[language], trust[language]))


def _passed_over(span: SpeechSpan, first_sample: int) -> Notice:
    start, end = (
        round((first_sample + sample) / SAMPLE_RATE, TIME_DIGITS)
        for sample in (span.start, span.end)
    )
    return Notice(
        "speech_without_words",
        f"Between {start:.1f} and {end:.1f} s there is speech that the model wrote no words for.",
        start,
        end,
    )


def pcm_to_audio(pcm: bytes) -> Audio:
    """Signed 16-bit little-endian samples to floats in -1..1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0
