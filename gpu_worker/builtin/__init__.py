"""Paths of the files inside the package: the small models and a sample conversation.

Nothing is loaded here.
"""

from __future__ import annotations

from pathlib import Path

PICO = Path(__file__).parent / "pico"
"""Directory of the built-in model, in CTranslate2's layout; `model.json` describes it."""

PICO_ALIGN = Path(__file__).parent / "pico_align"
"""Directory of the built-in aligner, in the hub's layout of a Wav2Vec2ForCTC."""

PICO_VOICE = Path(__file__).parent / "pico_voice"
"""Directory of the built-in speaker embedding: config.json, model.safetensors, pipeline.json."""

SAMPLE = Path(__file__).parent / "sample" / "conversation.ogg"
"""A conversation of two voices that pico knows; its reference is the .json beside it."""

HELLO = Path(__file__).parent / "sample" / "hello.wav"
"""Its first two seconds of speech, "hello peter good morning": PCM of 16 bits, mono, 16 kHz."""
