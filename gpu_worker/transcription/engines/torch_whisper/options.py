"""The options that this engine follows: greedy decoding and sampling, and no beams.

This module imports no torch, since it is asked before an engine is chosen.
"""

from __future__ import annotations

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions

COMPUTE_TYPES = ("default", "auto", "float32", "float16", "bfloat16")
_USUAL = {"beam_size": 1, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}


def unknown_options(options: DecodeOptions) -> tuple[str, ...]:
    """Return the names of the options with values that this engine cannot follow.

    `patience` needs beams to have an effect, so it is none of them.
    """
    return tuple(name for name, usual in _USUAL.items() if getattr(options, name) != usual)


def check_options(options: DecodeOptions) -> None:
    """Raise InvalidOption for a value that this engine cannot follow."""
    unknown = unknown_options(options)
    if unknown:
        name = unknown[0]
        raise InvalidOption(
            f"The engine torch has no {name}={getattr(options, name)}.",
            hint=f"Give {name}={_USUAL[name]}, or let workers use faster_whisper.",
        )
