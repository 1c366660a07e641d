"""Find where there is speech, with Silero's model, which faster-whisper carries.

It runs inside a chunk's task, so that several workers search a long file at the same time, and
around the boundaries while chunks are planned. Knows arrays only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import FRAME_SAMPLES, Likelihood, VadOptions
from gpu_worker.pcm import SAMPLE_RATE, Span

# Measured with real recordings by `benchmarks/words/quiet_speech.py`: as they get quieter than this
# Silero misses more of them, at -50 dB a tenth, at -60 most, at -70 all. The level is the one
# that one sample of a thousand exceeds, so that clicks do not count.
_QUIET = np.float32(10 ** (-45 / 20))  # of full scale
_AUDIBLE = np.float32(10 ** (-20 / 20))
# Below -70 dB speech is a few steps of 16 bits between stretches of zeros, which does not sound
# like a voice any more; noise of half a step makes it one again.
_DITHER = np.float32(0.5 / 32768)


def speech_spans(
    audio: Audio, max_seconds: float, options: VadOptions | None = None
) -> tuple[Span, ...]:
    """Find the spans of speech, in order, without overlap, each at most `max_seconds` long.

    They are in samples of `audio`, shape (samples,); audio under 10 ms has none.
    """
    if len(audio) < SAMPLE_RATE // 100:
        return ()
    from faster_whisper import vad  # late: it loads ONNX Runtime

    chosen = options or VadOptions()
    found: list[dict[str, Any]] = vad.get_speech_timestamps(
        _audible(audio),
        vad.VadOptions(
            threshold=chosen.threshold,
            min_speech_duration_ms=chosen.min_speech_ms,
            max_speech_duration_s=max_seconds,
            min_silence_duration_ms=chosen.min_silence_ms,
            speech_pad_ms=chosen.pad_ms,
        ),
    )
    return tuple(Span(int(span["start"]), int(span["end"])) for span in found)


def speech_likelihood(audio: Audio) -> Likelihood:
    """Return the probability of speech in each 32 ms; the last frame is filled up with silence.

    The model has a memory, so it judges the first frames of a piece of a recording worse.
    """
    if not len(audio):
        return np.zeros(0, np.float32)
    from faster_whisper import vad

    whole_frames = np.pad(_audible(audio), (0, -len(audio) % FRAME_SAMPLES))  # it is written to
    found: Likelihood = vad.get_vad_model()(whole_frames)
    return found


def _audible(audio: Audio) -> Audio:
    """Make a very quiet recording louder, for the detector alone; return others as they are.

    The same samples always give the same result.
    """
    loudness = np.abs(audio)
    if np.count_nonzero(loudness >= _QUIET) > len(audio) // 1000:
        return audio
    level = np.float32(np.percentile(loudness, 99.9))
    if level == 0:  # digital silence, but for a click
        return audio
    noise = np.random.default_rng(0).standard_normal(len(audio), dtype=np.float32)
    louder = (audio + _DITHER * noise) * (_AUDIBLE / level)
    return np.clip(louder, -1.0, 1.0, out=louder)
