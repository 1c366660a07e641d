"""Decode a window once: the options of CTranslate2's `generate`, and its results.

CTranslate2 gets the numbers of openai/whisper's options, but for the length, which it counts in a
way of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import best_attempt, compression_ratio

# Windows times candidates that are sampled at once. CTranslate2 copies a window's encoding for each
# candidate: 15 MB with tiny.en, so that 32 windows of 20 candidates took 10 GB.
SAMPLED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of decoding a window once."""

    tokens: tuple[int, ...]  # of the text alone
    text: WindowText


def read_attempt(
    result: Any, tokenizer: Tokenizer, options: DecodeOptions, temperature: float, room: int
) -> Attempt:
    """Convert one of the results of `generate`, for a text of at most `room` tokens."""
    found = result.sequences_ids[0]
    tokens = tuple(token for token in found if token < tokenizer.eot)
    text = tokenizer.decode(list(tokens)).strip()
    # Zero has no negative power; an empty text has no tokens whose probability counts.
    total = result.scores[0] * len(found) ** options.length_penalty if found else 0.0
    return Attempt(
        tokens,
        WindowText(
            text=text,
            words=(),
            avg_logprob=total / (len(found) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=compression_ratio(text),
            temperature=temperature,
            # With max_new_tokens the text is meant to end at its limit, so it is whole there.
            is_whole=len(found) < room or options.max_new_tokens is not None,
        ),
    )


def best(attempts: Sequence[Attempt], options: DecodeOptions) -> Attempt:
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


def generation_options(
    tokenizer: Tokenizer, options: DecodeOptions, temperature: float, *, prompt: int, room: int
) -> dict[str, Any]:
    """Return the arguments of `generate` for a text of at most `room` tokens.

    `prompt` is the number of tokens before the text.
    """
    return {
        "max_length": _max_length(prompt, room),
        "length_penalty": options.length_penalty,
        "repetition_penalty": options.repetition_penalty,
        "no_repeat_ngram_size": options.no_repeat_ngram_size,
        "suppress_blank": True,
        "suppress_tokens": get_suppressed_tokens(tokenizer, list(options.suppress_tokens))
        if options.suppress_tokens
        else [],
        "return_scores": True,
        "return_no_speech_prob": True,
        **_sampling(options, temperature),
    }


def _max_length(prompt: int, room: int) -> int:
    """Return the `max_length` with which CTranslate2 writes `room` tokens behind a prompt.

    It halves the number, and takes all of the prompt but its last token from it (whisper.cc).
    """
    return max(2 * room, room + prompt - 1)


def _sampling(options: DecodeOptions, temperature: float) -> dict[str, Any]:
    if temperature == 0.0:
        # CTranslate2 refuses a patience that leaves it no candidate at all.
        patience = max(options.patience, 1.0 / options.beam_size)
        return {"beam_size": options.beam_size, "patience": patience}
    return {
        "beam_size": 1,
        "num_hypotheses": options.best_of,
        "sampling_topk": 0,
        "sampling_temperature": temperature,
    }
