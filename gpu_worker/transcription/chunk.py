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
from gpu_worker.transcription.language_runs import Chances, LanguageChoice
from gpu_worker.transcription.language_snippets import language_windows
from gpu_worker.transcription.language_trials import likelier_language
from gpu_worker.transcription.second_look import second_look
from gpu_worker.transcription.second_tries import SHARE, Tried, decode_with_tries
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
    languages: LanguageChoice | None = None,
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
    the speech that is decoded again for doubts. With `languages` each window is in one of them, and
    the language of `options` has no effect. Raises OutOfMemory, and what `before_batch` and the
    engine raise.
    """
    batcher = batcher or Batcher(engine.decode)
    largest = min(batch_size, CPU_WINDOWS) if engine.device == "cpu" else batch_size
    timed = replace(options, word_timestamps=True)
    with batcher.preparing():
        spans = speech_spans(audio, engine.max_window_seconds, vad)
    if not spans:
        return ChunkTranscript(())
    longest = int(engine.max_window_seconds * SAMPLE_RATE)

    def hear(snippets: Sequence[Audio]) -> list[Chances]:
        listener = Batcher[None, Audio, Chances](lambda items, _: engine.hear_languages(items))
        return listener.run(snippets, None, largest, before_batch=before_batch, turns=turns)

    def once(sounds: Sequence[Audio], way: DecodeOptions) -> Sequence[WindowText]:
        with batcher.preparing():
            prepared = [engine.prepare(sound) for sound in sounds]
        return batcher.run(
            prepared, way, largest, before_batch=before_batch, turns=turns, standing=standing
        )

    def decode(found: Sequence[Window], share: float = 0.0) -> list[DecodedWindow]:
        texts: dict[int, Tried] = {}
        for language in dict.fromkeys(window.language for window in found):
            own = [index for index, one in enumerate(found) if one.language == language]
            spoken = replace(timed, language=language) if language else timed
            sounds = [found[index].cut(audio) for index in own]
            tried = decode_with_tries(
                sounds, spoken, once, engine=engine.kind, vad=vad, share=share
            )
            texts |= zip(own, tried, strict=True)
        return [DecodedWindow.of(one, texts[index], timed) for index, one in enumerate(found)]

    if languages is None:
        decoded = decode(pack_windows(spans, longest), second_tries)
    else:
        for language in languages.allowed:
            engine.warnings(replace(options, language=language))  # raises for one it has not
        choice = languages.among(engine.languages)
        windows = language_windows(audio, spans, hear, choice, longest)
        first = decode(windows, second_tries)
        decoded = likelier_language(audio, first, hear, decode, choice.allowed)
    decoded, passed_over = second_look(audio, decoded, decode, vad)
    shown = partial(
        heard_window, audio, first_sample=first_sample, with_words=options.word_timestamps
    )

    def written_in(one: DecodedWindow) -> str:
        spoken = one.window.language or options.language
        return replace(options, language=spoken).written_language

    return ChunkTranscript(
        tuple(shown(one, language=written_in(one)) for one in decoded),
        (
            *_warnings(engine, options, decoded),
            *(_passed_over(span, first_sample) for span in passed_over),
            *(_invented(one, first_sample) for one in decoded if one.dropped),
        ),
    )


def _warnings(
    engine: Engine, options: DecodeOptions, decoded: Sequence[DecodedWindow]
) -> tuple[TranscriptWarning, ...]:
    """Return the engine's warnings about the options, each once for all languages."""
    found: dict[TranscriptWarning, None] = {}
    for language in dict.fromkeys(one.window.language for one in decoded):
        spoken = replace(options, language=language) if language else options
        found |= dict.fromkeys(engine.warnings(spoken))
    return tuple(found)


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
