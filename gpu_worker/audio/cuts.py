"""Choose the place of one cut: a pause of the speech near an even boundary.

With a speech detector it is the place that is least likely speech, and of places that are
equally unlikely the quietest. Loudness alone finds no pause behind noise or music: measured by
`benchmarks/words/cut_points.py`. Without a detector, or where it hears no speech at all, the cut is
in the longest silence. Pure; only the stretch around the boundary is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_worker.audio.levels import runs
from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import FRAME_SAMPLES, Likelihood
from gpu_worker.pcm import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 100  # 10 ms: shorter than any pause between words
_SMOOTH_FRAMES = 5  # 50 ms, so that the closure of a "p" is no silence
_FLOOR_DB = -80.0  # of full scale; quieter than any recording, so digital silence counts the same
_PAUSE_FRAMES = 30  # 0.3 s; the quietest stretch of this length is the room without speech
_SILENCE_SHARE, _SILENCE_DB = 0.35, 12.0  # above the floor, of the span between floor and peak
_CONTRAST_DB = 6.0  # less between floor and peak is noise throughout, with no pause to find
_LONG_SILENCE = 2 * SAMPLE_RATE  # beyond this a longer silence is no better, a nearer one is

# With a detector. Probabilities are averaged over a pause between words, and with a tenth of the
# weight over a pause between sentences, which draws the cut into the middle of longer ones.
_WORD_PAUSE, _SENTENCE_PAUSE = 0.29, 1.0  # seconds
_SENTENCE_WEIGHT = 0.1
_DB_WEIGHT = 0.02  # 5 dB quieter outweighs a probability that is higher by 0.1
_LEVEL_FRAMES = 11  # 0.11 s, over which levels are averaged once more
_SPEECH = 0.5  # Silero's own threshold
_SURE = 0.1  # as good as no speech: there is no need to look further away
_LEAD = SAMPLE_RATE  # heard before the stretch, for the detector's memory
_NEAREST = 2.0  # seconds on each side that are always searched, if the reach is that long

Pcm = npt.NDArray[np.int16]
Values = npt.NDArray[np.floating[Any]]
Detector = Callable[[Audio], Likelihood]


def cut_near(pcm: Pcm, nominal: int, reach: int, detector: Detector | None = None) -> int:
    """Return the sample within `reach` samples of `nominal` where the file is best cut.

    `pcm` is mono int16 at 16 kHz, shape (samples,). The detector hears a third of the reach
    first, and the rest only if there is no clear pause in it.
    """
    if 2 * reach // _FRAME < 2 * _SMOOTH_FRAMES:
        return nominal
    if detector is None:
        return _in_silence(pcm, nominal, reach)
    nearer = min(reach, max(reach // 3, round(_NEAREST * SAMPLE_RATE)))
    cut, doubt = _in_pause(pcm, nominal, nearer, detector)
    if doubt > _SURE and nearer < reach:
        cut, _ = _in_pause(pcm, nominal, reach, detector)
    return cut


def _in_pause(pcm: Pcm, nominal: int, reach: int, detector: Detector) -> tuple[int, float]:
    """Return the best cut by the detector, and the probability of speech there.

    It lies in 0..1, or a little above in short pauses.
    """
    frames = 2 * reach // _FRAME
    start = nominal - frames * _FRAME // 2
    lead = min(start, _LEAD)
    samples = np.asarray(pcm[start - lead : start + frames * _FRAME])
    likelihood = detector(samples.astype(np.float32) / np.float32(32768))
    centres = np.arange(frames) * _FRAME + _FRAME // 2
    heard = (lead + centres) // FRAME_SAMPLES  # the detector's frame at the middle of each 10 ms
    if likelihood[heard].max() < _SPEECH:
        return _in_silence(pcm, nominal, reach), 0.0
    speech = _smooth(likelihood, _frames_of(_WORD_PAUSE)) + _SENTENCE_WEIGHT * _smooth(
        likelihood, _frames_of(_SENTENCE_PAUSE)
    )
    levels = _smooth(_levels(samples[lead:]), _LEVEL_FRAMES)
    cost = speech[heard] + _DB_WEIGHT * (levels - levels.min())
    best = np.flatnonzero(cost <= cost.min() + 1e-6)
    cut = _nearest(start + centres[best], nominal)
    return cut, float(speech[heard[(cut - start) // _FRAME]])


def _in_silence(pcm: Pcm, nominal: int, reach: int) -> int:
    """Return the middle of the longest silence, by loudness alone.

    Where the loudness hardly changes there is no silence; then return the quietest moment.
    """
    frames = 2 * reach // _FRAME
    start = nominal - frames * _FRAME // 2
    levels = _levels(np.asarray(pcm[start : start + frames * _FRAME]))
    floor, peak = float(_moving_mean(levels, _PAUSE_FRAMES).min()), float(levels.max())
    if peak - floor < _CONTRAST_DB:
        centres = start + np.arange(frames) * _FRAME + _FRAME // 2
        quietest = np.flatnonzero(levels == levels.min())
        return _nearest(centres[quietest], nominal)
    threshold = floor + min(_SILENCE_SHARE * (peak - floor), _SILENCE_DB)
    begins, ends = runs(levels <= threshold)
    lengths = np.minimum((ends - begins) * _FRAME, _LONG_SILENCE)
    middles = start + (begins + ends) * _FRAME // 2
    return _nearest(middles[lengths == lengths.max()], nominal)


def _levels(samples: Pcm) -> Values:
    """Return the loudness in dB of full scale, a value for each 10 ms, smoothed over 50 ms."""
    frames = samples.reshape(-1, _FRAME).astype(np.float32) / 32768.0
    power = frames.var(axis=1)  # not the mean square: a constant offset is no sound
    smooth = _smooth(power, _SMOOTH_FRAMES)
    return np.asarray(10.0 * np.log10(np.maximum(smooth, 10 ** (_FLOOR_DB / 10))))


def _frames_of(seconds: float) -> int:
    """Return how many of the detector's frames (32 ms) fill these seconds, as an odd number."""
    return round(seconds * SAMPLE_RATE / FRAME_SAMPLES) // 2 * 2 + 1


def _smooth(values: Values, length: int) -> Values:
    """Return the mean of `length` values around each value.

    At both ends the first and the last value are repeated.
    """
    return np.convolve(
        np.pad(values, length // 2, mode="edge"), np.full(length, 1.0 / length), mode="valid"
    )


def _moving_mean(values: Values, length: int) -> Values:
    """Return the mean of every run of `length` values, or of all values if there are fewer."""
    length = min(length, len(values))
    return np.convolve(values, np.full(length, 1.0 / length), mode="valid")


def _nearest(positions: npt.NDArray[Any], nominal: int) -> int:
    return int(positions[np.abs(positions - nominal).argmin()])
