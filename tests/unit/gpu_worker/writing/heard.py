"""Segments as they are heard, for tests of how they are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gpu_worker.transcript import Segment, Word
from gpu_worker.words import split_words
from gpu_worker.writing.rules import WritingRules
from gpu_worker.writing.writer import Writer

WORD_SECONDS = 0.5
PIECES = (
    "pie", "torch", "pie-torch", "Torch,", "Anna's", "l'été", "twenty", "five", "one",
    "twenty-five", "hundred", "million", "nineteen", "eighty", "point", "damn", "Damned!",
    "they're", "25", "5", "1,250", "3rd", "2024", "5%", "%", "May", "in", "$5", "A4", "10-20",
    "l'8", "No.", "人工知能", "straße", "STRASSE", "–", "(pie)", "«torch»", "k8s", "…",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(" ".join)
RULES = WritingRules(
    replacements=(
        ("pie torch", "PyTorch"),
        ("k8s", "Kubernetes cluster system"),
        ("Straße", "Allee 7"),
        ("人工知能", "AI"),
        ("one", "Eins"),
    ),
    masked=("damn*", "torch"),
    numbers="digits",
    digits_from=0,
)
IN_WORDS = replace(RULES, numbers="words")


def a_segment(text: str, pause: float = 0.0) -> Segment:
    """A segment whose words are said one after the other, with a pause before each."""
    step = WORD_SECONDS + pause
    words = tuple(
        Word(text[start:end], round(index * step, 3), round(index * step + WORD_SECONDS, 3), 0.9)
        for index, (start, end) in enumerate(split_words(text))
    )
    return Segment(0.0, round(len(words) * step, 3), text, words)


def written(text: str, language: str = "en", *, pause: float = 0.0, **rules: Any) -> Segment:
    """A segment as it is written by these rules."""
    return Writer(WritingRules(**rules)).segments([a_segment(text, pause)], language)[0]
