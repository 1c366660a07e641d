"""Decode windows until their texts pass, and keep the best of the attempts.

It is the same for all engines. What an engine does of its own is one attempt at a few windows, at
one temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import (
    best_attempt,
    compression_ratio,
    needs_fallback,
)

# Windows times candidates that are sampled at once. CTranslate2 copies a window's encoding for each
# candidate: 15 MB with tiny.en, so that 32 windows of 20 candidates took 10 GB.
SAMPLED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of decoding a window once."""

    tokens: tuple[int, ...]  # of the text alone
    text: WindowText


OneAttempt = TypeVar("OneAttempt", bound=Attempt)


def attempt_of(
    found: Sequence[int],
    log_probability: float,
    no_speech_prob: float,
    tokenizer: Tokenizer,
    options: DecodeOptions,
    temperature: float,
    room: int,
) -> Attempt:
    """Make an attempt of the tokens that were found before the one that ends the text.

    `log_probability` is that of all tokens together; the text had room for `room` of them.
    """
    tokens = tuple(token for token in found if token < tokenizer.eot)
    text = tokenizer.decode(list(tokens)).strip()
    return Attempt(
        tokens,
        WindowText(
            text=text,
            words=(),
            # An empty text has no tokens whose probability counts.
            avg_logprob=log_probability / (len(found) + 1) if found else 0.0,
            no_speech_prob=no_speech_prob,
            compression_ratio=compression_ratio(text),
            temperature=temperature,
            # With max_new_tokens the text is meant to end at its limit, so it is whole there.
            is_whole=len(found) < room or options.max_new_tokens is not None,
        ),
    )


def decode_with_fallback(
    windows: int,
    options: DecodeOptions,
    decode: Callable[[Sequence[int], float], Sequence[OneAttempt]],
) -> list[OneAttempt]:
    """Return the attempt that is taken of each of so many windows.

    `decode` makes an attempt at the windows of these indices, at this temperature. Windows that
    fail a threshold are decoded again, at the next temperature.
    """
    attempts: list[list[OneAttempt]] = [[] for _ in range(windows)]
    pending: Sequence[int] = range(windows)
    for temperature in options.temperatures:
        for group in groups(pending, options, temperature):
            for index, result in zip(group, decode(group, temperature), strict=True):
                attempts[index].append(result)
        pending = [index for index in pending if needs_fallback(attempts[index][-1].text, options)]
        if not pending:
            break
    return [best(tried, options) for tried in attempts]


def best(attempts: Sequence[OneAttempt], options: DecodeOptions) -> OneAttempt:
    """Return the attempt whose text `fallback.best_attempt` takes."""
    texts = [attempt.text for attempt in attempts]
    return attempts[texts.index(best_attempt(texts, options))]


def groups(
    windows: Sequence[int], options: DecodeOptions, temperature: float
) -> Iterator[Sequence[int]]:
    """Cut a batch's windows into those that are decoded at once at this temperature."""
    sampled = max(1, SAMPLED_AT_ONCE // options.best_of)
    size = sampled if temperature > 0.0 else max(1, len(windows))
    for first in range(0, len(windows), size):
        yield windows[first : first + size]


def check_tokens(options: DecodeOptions, vocabulary: int) -> None:
    """Raise InvalidOption for a token id that a model of so many tokens does not have.

    CTranslate2 writes to the place of each suppressed id, also behind the end of its memory.
    """
    unknown = [token for token in options.suppress_tokens if not -1 <= token < vocabulary]
    if unknown:
        raise InvalidOption(
            f"suppress_tokens has {unknown[0]}, but the model's tokens are 0 to {vocabulary - 1}."
        )


def suppressed_tokens(tokenizer: Tokenizer, options: DecodeOptions) -> Sequence[int]:
    """Return the tokens that may not be written: those asked for, and the special ones."""
    if not options.suppress_tokens:
        return []
    found: Sequence[int] = get_suppressed_tokens(tokenizer, list(options.suppress_tokens))
    return found
