"""Decide whether a decoded window is decoded again, at a higher temperature.

The rules and thresholds are openai/whisper's (`transcribe.py` of 20250625: `decode_with_fallback`
and the silence check behind it). Pure; the engine does the decoding.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from gpu_worker.transcription.engines import DecodeOptions, WindowText


def compression_ratio(text: str) -> float:
    """Return how many times smaller zlib makes the text; above 2.4 it repeats itself."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data)) if data else 0.0


def is_silence(result: WindowText, options: DecodeOptions) -> bool:
    """Return whether the window's text is dropped: the model doubts that there was speech.

    A mean log probability above its threshold outweighs the doubt. Without that threshold
    (None) the doubt decides alone; without `no_speech_threshold` nothing is silence.
    """
    if options.no_speech_threshold is None:
        return False
    trusted = (
        options.logprob_threshold is not None and result.avg_logprob > options.logprob_threshold
    )
    return result.no_speech_prob > options.no_speech_threshold and not trusted


def needs_fallback(result: WindowText, options: DecodeOptions) -> bool:
    """Return whether the window should be decoded again at the next temperature.

    A low log probability together with the model's doubt that there was speech is silence,
    which no other temperature changes, however much the text repeats itself.
    """
    unlikely = (
        options.logprob_threshold is not None and result.avg_logprob < options.logprob_threshold
    )
    doubted = (
        options.no_speech_threshold is not None
        and result.no_speech_prob > options.no_speech_threshold
    )
    return not (unlikely and doubted) and (unlikely or _too_repetitive(result, options))


def best_attempt(attempts: Sequence[WindowText], options: DecodeOptions) -> WindowText:
    """Return the last attempt if it passes the thresholds, else the likeliest one.

    Attempts whose text repeats itself are left out, unless all do.
    """
    if not needs_fallback(attempts[-1], options):
        return attempts[-1]
    varied = [attempt for attempt in attempts if not _too_repetitive(attempt, options)]
    return max(varied or attempts, key=lambda attempt: attempt.avg_logprob)


def _too_repetitive(result: WindowText, options: DecodeOptions) -> bool:
    return (
        options.compression_ratio_threshold is not None
        and result.compression_ratio > options.compression_ratio_threshold
    )
