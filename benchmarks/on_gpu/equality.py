"""Whether what a model says of a window depends on the windows that share its batch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.audio.samples import Audio
from gpu_worker.transcript import Word
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine
from gpu_worker.transcription.engines.prompts import build_prompt, text_room

SIZES = (2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Heard:
    """One window, decoded once, without rounding."""

    tokens: tuple[int, ...]
    text: str
    probabilities: tuple[float, float]  # mean log probability of the text, and of no speech
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Equality:
    """How many windows of batches of one size are heard as they are alone, to the last bit."""

    size: int
    windows: int
    equal_tokens: int
    equal_text: int
    equal_probabilities: int
    equal_word_times: int
    equal_word_scores: int
    largest_probability_difference: float  # of windows with equal tokens, as the next two
    largest_score_difference: float
    largest_time_difference: float  # seconds


def hear(
    engine: FasterWhisperEngine, windows: Sequence[Audio], options: DecodeOptions
) -> list[Heard]:
    """Decode all windows as one batch, at the first temperature."""
    prepared = [engine.prepare(window) for window in windows]
    encoded, tokenizer = engine._encode(prepared), engine._tokenizer(options)
    prompt = build_prompt(tokenizer, options)
    room = text_room(prompt, engine._model.max_length, options)
    attempts = engine._generate(encoded, tokenizer, prompt, room, options, options.temperatures[0])
    words = engine._attention.words(encoded, attempts, [it.audio for it in prepared], tokenizer)
    return [
        Heard(
            attempt.tokens,
            attempt.text.text,
            (attempt.text.avg_logprob, attempt.text.no_speech_prob),
            timed,
        )
        for attempt, timed in zip(attempts, words, strict=True)
    ]


def batch_equality(
    engine: FasterWhisperEngine,
    windows: Sequence[Audio],
    options: DecodeOptions,
    sizes: Sequence[int] = SIZES,
) -> list[Equality]:
    """Compare each window alone and in batches, with other neighbours in each size."""
    alone = [hear(engine, [window], options)[0] for window in windows]
    found = []
    for size in sizes:
        pairs: list[tuple[Heard, Heard]] = []
        for batch in batches(len(windows), size):
            together = hear(engine, [windows[index] for index in batch], options)
            pairs += zip((alone[index] for index in batch), together, strict=True)
        found.append(compared(size, pairs))
    return found


def batches(count: int, size: int) -> list[list[int]]:
    """Indexes below `count` in a seeded order, in full batches; the last takes some again."""
    order = random.Random(size).sample(range(count), count)
    filled = order + order * (size // count + 1)
    return [filled[first : first + size] for first in range(0, count, size)]


def compared(size: int, pairs: Sequence[tuple[Heard, Heard]]) -> Equality:
    """Count what is equal."""
    same = [(a, b) for a, b in pairs if a.tokens == b.tokens]
    words = [pair for a, b in same for pair in zip(a.words, b.words, strict=True)]
    return Equality(
        size,
        len(pairs),
        equal_tokens=sum(a.tokens == b.tokens for a, b in pairs),
        equal_text=sum(a.text == b.text for a, b in pairs),
        equal_probabilities=sum(a.probabilities == b.probabilities for a, b in pairs),
        equal_word_times=sum(times(a) == times(b) for a, b in pairs),
        equal_word_scores=sum(scores(a) == scores(b) for a, b in pairs),
        largest_probability_difference=max(
            (
                abs(one - other)
                for a, b in same
                for one, other in zip(a.probabilities, b.probabilities, strict=True)
            ),
            default=0.0,
        ),
        largest_score_difference=max((abs(a.score - b.score) for a, b in words), default=0.0),
        largest_time_difference=float(
            max((max(abs(a.start - b.start), abs(a.end - b.end)) for a, b in words), default=0.0)
        ),
    )


def times(heard: Heard) -> list[tuple[float, float]]:
    """Start and end of each word."""
    return [(word.start, word.end) for word in heard.words]


def scores(heard: Heard) -> list[float]:
    """How sure the model is of each word."""
    return [word.score for word in heard.words]
