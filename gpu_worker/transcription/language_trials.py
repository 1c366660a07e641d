"""Decode doubtful windows in a second language too, and take the likelier text.

A text in the wrong language is invented prose, which the model itself finds unlikely: English for
German has a mean log probability of -0.8 to -1, the right text of the same sound -0.1 to -0.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gpu_worker.audio.samples import Audio
from gpu_worker.transcription.decoded import DecodedWindow
from gpu_worker.transcription.language_runs import Chances
from gpu_worker.transcription.windows import Window

DOUBTFUL_LOGPROB = -0.6  # below it a window is decoded in a second language
LEAST_GAIN = 0.1  # the second text is likelier by this, to be taken


def likelier_language(
    audio: Audio,
    decoded: Sequence[DecodedWindow],
    hear: Callable[[Sequence[Audio]], Sequence[Chances]],
    decode: Callable[[Sequence[Window]], list[DecodedWindow]],
    allowed: Sequence[str],
) -> list[DecodedWindow]:
    """Return the windows, doubtful ones in the likelier of two languages.

    The second language is the likeliest of `allowed` besides the window's own, as `hear` tells of
    the whole window. `audio` is what the windows' spans count in.
    """
    doubtful = [index for index, one in enumerate(decoded) if _is_doubtful(one)]
    if len(allowed) < 2 or not doubtful:
        return list(decoded)
    windows = [decoded[index].window for index in doubtful]
    heard = hear([window.cut(audio) for window in windows])
    others = {
        index: replace(window, language=second)
        for index, window, chances in zip(doubtful, windows, heard, strict=True)
        if (second := _second(chances, window.language, allowed))
    }
    taken = list(decoded)
    for index, other in zip(others, decode(list(others.values())), strict=True):
        gain = other.text.avg_logprob - taken[index].text.avg_logprob
        if other.text.text and gain >= LEAST_GAIN:
            taken[index] = other
    return taken


def _is_doubtful(one: DecodedWindow) -> bool:
    return bool(one.text.text) and one.text.avg_logprob < DOUBTFUL_LOGPROB


def _second(chances: Chances, first: str | None, allowed: Sequence[str]) -> str | None:
    """Return the likeliest of the other languages; None if the model knows none of them."""
    others = [code for code in allowed if code != first and chances.get(code, 0.0) > 0.0]
    return max(others, key=lambda code: chances[code], default=None)
