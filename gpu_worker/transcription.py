"""One chunk's audio to segments: speech, windows, batches, lines.

Takes an array and gives dataclasses in times of the whole file. Knows nothing of
where the samples came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from gpu_worker.batching import run_batches
from gpu_worker.engines import Audio, DecodeOptions, Engine, WindowText
from gpu_worker.fallback import is_silence
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.levels import frame_levels
from gpu_worker.segmentation import Stretch, place_words, split_lines
from gpu_worker.speech import VadOptions
from gpu_worker.transcript import (
    SAMPLE_RATE,
    Segment,
    Word,
)
from gpu_worker.vad import speech_spans
from gpu_worker.windows import Window, pack_windows

TIME_DIGITS = 3  # milliseconds
SCORE_DIGITS = 4


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

    `first_sample` is the chunk's true position in the file. Raises OutOfMemory, and
    whatever `before_batch` and the engine raise.
    """
    spans = speech_spans(audio, engine.max_window_seconds, vad)
    windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    texts = run_batches(
        windows,
        batch_size,
        lambda batch: engine.transcribe([window.cut(audio) for window in batch], options),
        before_batch=before_batch,
    )
    return ChunkTranscript(
        tuple(
            HeardWindow(
                tuple(
                    (first_sample + span.start, first_sample + span.end) for span in window.spans
                ),
                tuple(_segments(window, text, options, first_sample)),
                tuple(frame_levels(audio[span.start : span.end]) for span in window.spans),
            )
            for window, text in zip(windows, texts, strict=True)
        )
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


def pcm_to_audio(pcm: bytes) -> Audio:
    """Signed 16-bit little-endian samples to floats in -1..1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def _segments(
    window: Window, text: WindowText, options: DecodeOptions, first_sample: int
) -> list[Segment]:
    if not text.text or is_silence(text, options):
        return []
    if not text.words:
        start, end = window.spans[0].start, window.spans[-1].end
        return [
            _segment(
                text, text.text, (), _seconds(first_sample + start), _seconds(first_sample + end)
            )
        ]
    stretches = [
        Stretch(
            start=_seconds(offset),
            end=_seconds(offset + span.samples),
            shift=_seconds(first_sample + span.start - offset),
        )
        for offset, span in zip(window.offsets, window.spans, strict=True)
    ]
    return [_line(text, line) for line in split_lines(place_words(text.words, stretches))]


def _line(text: WindowText, line: tuple[Word, ...]) -> Segment:
    words = tuple(
        Word(
            word.word,
            round(word.start, TIME_DIGITS),
            round(word.end, TIME_DIGITS),
            round(word.score, SCORE_DIGITS),
        )
        for word in line
    )
    joined = " ".join(word.word for word in words)
    return _segment(text, joined, words, words[0].start, words[-1].end)


def _segment(
    text: WindowText, written: str, words: tuple[Word, ...], start: float, end: float
) -> Segment:
    return Segment(
        start=round(start, TIME_DIGITS),
        end=round(end, TIME_DIGITS),
        text=written,
        words=words,
        avg_logprob=round(text.avg_logprob, SCORE_DIGITS),
        no_speech_prob=round(text.no_speech_prob, SCORE_DIGITS),
        compression_ratio=round(text.compression_ratio, SCORE_DIGITS),
        temperature=text.temperature,
    )


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE
