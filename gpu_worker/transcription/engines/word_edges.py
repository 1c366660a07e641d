"""Move word times to the edges of pauses in the sound.

Cross-attention lets a word last until the next one begins, so its time holds pauses, and the end
of the word before. A pause shows in the loudness: a word keeps its longest stretch of sound, and
where a pause lies near the boundary of two words, the first ends where the pause begins and the
second starts where it ends. The figures were chosen by hand, by the errors on two sonnets read
aloud; `python -m benchmarks.words.word_offsets` prints the errors that are left. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpu_worker.audio.levels import runs
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word

_FRAME = SAMPLE_RATE // 100  # 10 ms
_FRAMES_A_SECOND = SAMPLE_RATE // _FRAME
_FLOOR, _PEAK = 5, 95  # percentiles of the levels that stand for silence and for speech
_QUIET_SHARE, _QUIET_DB = 0.3, 12.0  # above the floor, of the span between floor and peak
_PAUSE_INSIDE = 0.18  # seconds; the closure of a "p" or "t" inside a word is shorter
_PAUSE_BETWEEN = 0.12
_REACH = 0.2  # seconds from a boundary to a pause that belongs to it


@dataclass(frozen=True, slots=True)
class _Pause:
    """A stretch without sound, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def fit_to_sound(words: Sequence[Word], audio: Audio) -> tuple[Word, ...]:
    """Move the starts and the ends of words to the pauses near them.

    `audio` is the window's, shape (samples,); times are from its start, in order.
    """
    pauses = _pauses(audio)
    inside = [pause for pause in pauses if pause.seconds >= _PAUSE_INSIDE - 1e-9]
    return tuple(_parted([_longest_sound(word, inside) for word in words], pauses))


def _pauses(audio: Audio) -> list[_Pause]:
    frames = len(audio) // _FRAME
    if frames < 3:
        return []
    power = audio[: frames * _FRAME].reshape(frames, _FRAME).astype(np.float64).var(axis=1)
    smooth = np.convolve(np.pad(power, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    levels = 10.0 * np.log10(np.maximum(smooth, 1e-9))
    floor, peak = np.percentile(levels, (_FLOOR, _PEAK))
    quiet = levels <= floor + min(_QUIET_SHARE * (peak - floor), _QUIET_DB)
    return [
        _Pause(start / _FRAMES_A_SECOND, end / _FRAMES_A_SECOND)
        for start, end in zip(*runs(quiet), strict=True)
        if end - start >= _PAUSE_BETWEEN * _FRAMES_A_SECOND
    ]


def _longest_sound(word: Word, pauses: Sequence[_Pause]) -> Word:
    """Shorten a word to its longest stretch of sound between the pauses in it."""
    at = word.start
    sounds: list[tuple[float, float]] = []
    for pause in pauses:
        if pause.end > word.start and pause.start < word.end:
            sounds.append((at, pause.start))
            at = pause.end
    sounds.append((at, word.end))
    start, end = max(sounds, key=lambda sound: sound[1] - sound[0])
    return replace(word, start=start, end=end) if start < end else word


def _parted(words: list[Word], pauses: Sequence[_Pause]) -> list[Word]:
    """Move each boundary of words that is near a pause to the pause's edges."""
    starts, ends = [word.start for word in words], [word.end for word in words]
    for index in range(len(words) + 1):
        before = words[index - 1] if index else None
        after = words[index] if index < len(words) else None
        pause = _nearby(before, after, pauses)
        if pause is None:
            continue
        if before:
            ends[index - 1] = max(pause.start, starts[index - 1])
        if after:
            starts[index] = pause.end
    return [
        replace(word, start=start, end=max(start, end))
        for word, start, end in zip(words, starts, ends, strict=True)
    ]


def _nearby(before: Word | None, after: Word | None, pauses: Sequence[_Pause]) -> _Pause | None:
    """Return the longest pause that may lie between two words, or None.

    One of the words is None at the start and at the end of the window.
    """
    first = before.end if before else after.start if after else 0.0
    last = after.start if after else first
    earliest = (before.start + before.end) / 2 if before else -np.inf
    latest = (after.start + after.end) / 2 if after else np.inf
    near = [
        pause
        for pause in pauses
        if earliest <= pause.start
        and pause.end <= latest
        and max(pause.start - last, first - pause.end) <= _REACH
    ]
    return max(near, key=lambda pause: pause.seconds, default=None)
