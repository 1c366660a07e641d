"""Find text that a model writes where nothing is said: a prompt, a stock phrase, or unsure words.

A text is dropped only where the speech detector, which has heard something there, is in doubt
too: no 160 ms of the window sound like a voice for certain. Its figures are in docs/accuracy.md.
"""

from __future__ import annotations

import math

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import Likelihood
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.doubt.repetition import spoken_form
from gpu_worker.doubt.stock_phrases import is_stock_phrase
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.tries import is_repetitive

VOICE_FRAMES = 5  # 160 ms: a short syllable
# The least mean likelihood of speech in so many frames, for a text to be kept.
LEAST_VOICE = 0.7
LEAST_VOICE_OF_ECHO = 0.9  # for words of the prompt, and stock phrases
SURE_PROBABILITY = 0.7  # a token; likelier texts are kept: a whisper is hardly a voice
DRAWN_OUT_RATIO = 4.0  # of zlib: a text that repeats itself within a word, such as Aaaaaaaaaaaaaaah
# Why a text is suspicious, for people.
ECHO = "words of the prompt came back"
STOCK = "models write this phrase where nothing is said"
UNSURE = "the model was unsure of it"


def invention(text: WindowText, window: Audio, options: DecodeOptions) -> str | None:
    """Return why a window's text is taken for invented, for people; None if it is not.

    Without `no_speech_threshold` nothing is taken for silence, and no text for invented.
    """
    kind = None if options.no_speech_threshold is None else _kind(text, options)
    if kind is None:
        return None
    least = LEAST_VOICE if kind is UNSURE else LEAST_VOICE_OF_ECHO
    return kind if voice(speech_likelihood(window)) < least else None


def _kind(text: WindowText, options: DecodeOptions) -> str | None:
    """Return what makes a text suspicious, before the sound is looked at."""
    if not text.text:
        return None
    if is_echo(text.text, options):
        return ECHO
    if is_stock_phrase(text.text):
        return STOCK
    is_unsure = math.exp(min(text.avg_logprob, 0.0)) < SURE_PROBABILITY
    is_drawn_out = text.compression_ratio > DRAWN_OUT_RATIO
    return UNSURE if is_unsure or is_drawn_out or is_repetitive(text.text) else None


def is_echo(text: str, options: DecodeOptions) -> bool:
    """Return whether a text is a part of the job's prompt or hot words, or repeats them."""
    said = spoken_form(text)
    given = [spoken_form(one) for one in (options.initial_prompt, options.hotwords) if one]
    return bool(said) and any(said in one or said.replace(one, "") == "" for one in given if one)


def voice(likelihood: Likelihood) -> float:
    """Return the highest mean likelihood of speech in `VOICE_FRAMES` frames."""
    if not len(likelihood):
        return 0.0
    size = min(VOICE_FRAMES, len(likelihood))
    return float(np.convolve(likelihood, np.full(size, 1 / size), mode="valid").max())
