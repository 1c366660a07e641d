"""Check that an engine hears: give it two known seconds of speech.

A device can be broken without an error: with some drivers and libraries a model decodes every
window to an empty text. So each engine is asked once, when it is loaded.
"""

from __future__ import annotations

import wave

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.builtin import HELLO
from gpu_worker.errors import DeviceFault
from gpu_worker.transcription.engines import DecodeOptions, Engine


def check_hearing(engine: Engine) -> None:
    """Return if the engine finds words in known speech.

    Raises DeviceFault if it finds none, and what the engine raises.
    """
    language = "en" if "en" in engine.languages else min(engine.languages, default="en")
    options = DecodeOptions(language=language, temperatures=(0.0,), word_timestamps=False)
    (heard,) = engine.transcribe([known_speech()], options)
    if not heard.text.strip():
        raise DeviceFault(
            f"Model {engine.name!r} on {engine.device} hears nothing in two seconds of speech.",
            hint="Its device or its files are broken: check the driver and fetch the model again.",
        )


def known_speech() -> Audio:
    """Return two seconds of speech, shape (32000,), float32 in -1..1 at 16 kHz."""
    with wave.open(str(HELLO), "rb") as file:
        levels = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return levels.astype(np.float32) / np.float32(32768)
