"""The options of CTranslate2's `generate`, and its results.

CTranslate2 gets the numbers of openai/whisper's options, but for the length, which it counts in a
way of its own.
"""

from __future__ import annotations

from typing import Any

from faster_whisper.tokenizer import Tokenizer

from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.attempts import Attempt, attempt_of, suppressed_tokens


def read_attempt(
    result: Any, tokenizer: Tokenizer, options: DecodeOptions, temperature: float, room: int
) -> Attempt:
    """Convert one of the results of `generate`, for a text of at most `room` tokens."""
    found = result.sequences_ids[0]
    # CTranslate2's score is divided by this power of the length; zero has no negative power.
    total = result.scores[0] * len(found) ** options.length_penalty if found else 0.0
    return attempt_of(found, total, result.no_speech_prob, tokenizer, options, temperature, room)


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
        "suppress_tokens": suppressed_tokens(tokenizer, options),
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
