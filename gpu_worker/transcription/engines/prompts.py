"""Build the prompt before a window's text: hot words and an initial prompt, in one budget."""

from __future__ import annotations

from dataclasses import dataclass

from faster_whisper.tokenizer import Tokenizer

from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.engines import DecodeOptions

PROMPT_TOKENS = 223  # half of the model's text context, less one (openai/whisper decoding.py)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens before a window's text, down to `<|notimestamps|>`."""

    tokens: tuple[int, ...]
    is_cut: bool  # some of the hot words or of the initial prompt had no room


def build_prompt(tokenizer: Tokenizer, options: DecodeOptions) -> Prompt:
    """Build a prompt of at most `PROMPT_TOKENS` tokens of hot words and initial prompt.

    Hot words come first, from their beginning, then as much of the initial prompt's end as fits.
    """
    hot, before = (
        tokenizer.encode(f" {text.strip()}") if text and text.strip() else []
        for text in (options.hotwords, options.initial_prompt)
    )
    kept = hot[:PROMPT_TOKENS]
    kept += before[max(0, len(before) - (PROMPT_TOKENS - len(kept))) :]
    previous = [tokenizer.sot_prev, *kept] if kept else []
    return Prompt(
        (*previous, *tokenizer.sot_sequence, tokenizer.no_timestamps),
        is_cut=len(kept) < len(hot) + len(before),
    )


def text_room(prompt: Prompt, max_length: int, options: DecodeOptions) -> int:
    """Return how many tokens a window's text may have, in a model of at most `max_length`.

    Raises InvalidOption.
    """
    # One place is kept for the token that ends the text: the alignment needs it.
    room = max_length - len(prompt.tokens) - 1
    if options.max_new_tokens is None:
        return room
    if options.max_new_tokens > room:
        raise InvalidOption(
            f"A prompt of {len(prompt.tokens)} tokens leaves room for {room} of the model's "
            f"{max_length}, but max_new_tokens is {options.max_new_tokens}.",
            hint="Lower max_new_tokens, or leave it out.",
        )
    return options.max_new_tokens


def prompt_warnings(prompt: Prompt) -> tuple[TranscriptWarning, ...]:
    """Return a warning if the prompt did not fit and was cut."""
    if not prompt.is_cut:
        return ()
    return (
        TranscriptWarning(
            "prompt_cut",
            f"initial_prompt and hotwords together are longer than {PROMPT_TOKENS} tokens; "
            "the end of the hot words or the beginning of the prompt was left out.",
        ),
    )
