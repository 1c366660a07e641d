"""What ships inside the package: the small model `pico` and a sample conversation.

Only paths; nothing is loaded here.
"""

from __future__ import annotations

from pathlib import Path

PICO = Path(__file__).parent / "pico"
"""Directory of the built-in model, in CTranslate2's layout; `model.json` describes it."""

SAMPLE = Path(__file__).parent / "sample" / "conversation.ogg"
"""A conversation of two voices that pico knows; its reference is the .json beside it."""
