"""A window whose text the model itself doubts is decoded in a second language too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import Span
from gpu_worker.transcription.decoded import DecodedWindow
from gpu_worker.transcription.engines import WindowText
from gpu_worker.transcription.language_trials import likelier_language
from gpu_worker.transcription.windows import Window

AUDIO = np.zeros(16_000, np.float32)
WINDOW = Window((Span(0, 16_000),), "en")
CHANCES = {"en": 0.5, "de": 0.3, "es": 0.2}


def text(log_probability: float, said: str = "text") -> WindowText:
    return WindowText(said, (), log_probability, 0.0, 1.0, 0.0)


class Decoder:
    """Decodes each language with its own log probability."""

    def __init__(self, **likely: float) -> None:
        self.likely = likely
        self.asked: list[str | None] = []

    def __call__(self, windows: Sequence[Window]) -> list[DecodedWindow]:
        self.asked += [window.language for window in windows]
        return [
            DecodedWindow(window, text(self.likely[window.language or ""]), is_believed=True)
            for window in windows
        ]


def tried(decoder: Decoder, allowed: Sequence[str] = ("de", "en", "es")) -> list[str | None]:
    first = DecodedWindow(WINDOW, text(decoder.likely["en"]), is_believed=True)

    def hear(snippets: Sequence[Audio]) -> list[dict[str, float]]:
        return [CHANCES] * len(snippets)

    found = likelier_language(AUDIO, [first], hear, decoder, allowed)
    return [one.window.language for one in found]


def test_invented_prose_gives_way_to_the_language_that_is_spoken() -> None:
    assert tried(Decoder(en=-0.95, de=-0.14)) == ["de"]


def test_a_text_that_is_likely_is_not_decoded_again() -> None:
    decoder = Decoder(en=-0.3, de=-0.1)
    assert tried(decoder) == ["en"]
    assert decoder.asked == []


def test_a_text_that_is_hardly_likelier_is_not_taken() -> None:
    decoder = Decoder(en=-0.7, de=-0.65)
    assert tried(decoder) == ["en"]
    assert decoder.asked == ["de"]


def test_only_allowed_languages_that_the_model_knows_are_tried() -> None:
    decoder = Decoder(en=-0.95, es=-0.2)
    assert tried(decoder, ("en", "es")) == ["es"]
    assert tried(Decoder(en=-0.95), ("en", "xx")) == ["en"]
    assert tried(Decoder(en=-0.95), ("en",)) == ["en"]
