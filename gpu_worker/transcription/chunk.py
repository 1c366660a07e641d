"""Transcribe one chunk's audio: speech, windows, batches, second tries, a second look, lines.

Takes an array of samples and returns dataclasses with times from the start of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.devices.batcher import Batcher
from gpu_worker.devices.requests import ANY_STANDING, Standing
from gpu_worker.devices.turns import NO_TURNS, Turns
from gpu_worker.heard import ChunkTranscript
from gpu_worker.pcm import SAMPLE_RATE, Span
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.decoded import TIME_DIGITS, DecodedWindow, heard_window
from gpu_worker.transcription.engines import DecodeOptions, Engine, WindowText
from gpu_worker.transcription.second_look import second_look
from gpu_worker.transcription.second_tries import SHARE, decode_with_tries
from gpu_worker.transcription.windows import Window, pack_windows

# Decoded at once on a CPU. More save little there (docs/speed.md); the six units of a worker fill
# them with a window each; and memory that is not there is not refused but ends the process.
CPU_WINDOWS = 6

WindowBatcher = Batcher[DecodeOptions, Any, WindowText]


def transcribe_chunk(
    engine: Engine,
    audio: Audio,
    options: DecodeOptions,
    *,
    first_sample: int = 0,
    batch_size: int = 16,
    vad: VadOptions | None = None,
    before_batch: Callable[[], None] = lambda: None,
    batcher: WindowBatcher | None = None,
    turns: Turns = NO_TURNS,
    standing: Standing = ANY_STANDING,
    second_tries: float = SHARE,
) -> ChunkTranscript:
    """Find the speech in `audio`, decode it, and time it from the start of the file.

    `audio` has shape (samples,); `first_sample` is the chunk's position in the file. `batcher` is
    the engine's: with it the chunk's windows share batches with those of other chunks, in the
    order of `standing`, and `turns` hears whose windows are decoded. Words are always timed: their
    times decide where lines end, and whether speech was passed over. `second_tries` is the share of
    the speech that is decoded again for doubts. Raises OutOfMemory, and what `before_batch` and the
    engine raise.
    """
    batcher = batcher or Batcher(engine.decode)
    largest = min(batch_size, CPU_WINDOWS) if engine.device == "cpu" else batch_size
    timed = replace(options, word_timestamps=True)
    with batcher.preparing():
        spans = speech_spans(audio, engine.max_window_seconds, vad)
        windows = pack_windows(spans, int(engine.max_window_seconds * SAMPLE_RATE))
    if not windows:
        return ChunkTranscript(())

    def once(sounds: Sequence[Audio], way: DecodeOptions) -> Sequence[WindowText]:
        with batcher.preparing():
            prepared = [engine.prepare(sound) for sound in sounds]
        return batcher.run(
            prepared, way, largest, before_batch=before_batch, turns=turns, standing=standing
        )

    def decode(found: Sequence[Window], share: float = 0.0) -> list[DecodedWindow]:
        sounds = [window.cut(audio) for window in found]
        tried = decode_with_tries(sounds, timed, once, engine=engine.kind, vad=vad, share=share)
        return [DecodedWindow.of(*pair, timed) for pair in zip(found, tried, strict=True)]

    decoded, passed_over = second_look(audio, decode(windows, second_tries), decode, vad)
    language = "en" if options.task == "translate" else options.language or ""
    shown = partial(
        heard_window, audio, first_sample=first_sample, language=language,
        with_words=options.word_timestamps,
    )  # fmt: skip
    return ChunkTranscript(
        tuple(map(shown, decoded)),
        (
            *engine.warnings(options),
            *(_passed_over(span, first_sample) for span in passed_over),
            *(_invented(one, first_sample) for one in decoded if one.dropped),
        ),
    )


def _passed_over(span: Span, first_sample: int) -> TranscriptWarning:
    start, end = _times(span, first_sample)
    return TranscriptWarning(
        "speech_without_words",
        f"Between {start:.1f} and {end:.1f} s there is speech that the model wrote no words for.",
        start,
        end,
    )


def _invented(one: DecodedWindow, first_sample: int) -> TranscriptWarning:
    spans = one.window.spans
    start, end = _times(Span(spans[0].start, spans[-1].end), first_sample)
    return TranscriptWarning(
        "invented_text",
        f"Between {start:.1f} and {end:.1f} s no voice was heard; this text was left out: "
        f"{one.dropped}.",
        start,
        end,
    )


def _times(span: Span, first_sample: int) -> tuple[float, float]:
    """Return the edges of a span of the chunk, in seconds of the file."""
    start, end = (
        round((first_sample + sample) / SAMPLE_RATE, TIME_DIGITS)
        for sample in (span.start, span.end)
    )
    return start, end
