"""The usual normaliser: openai/whisper's, as transformers carries it.

English text loses case, punctuation, fillers and contractions, and numbers become digits
(Whisper paper, appendix C, arXiv:2212.04356); text of other languages loses case and marks.
British spellings become American by a table that the package whisper-normalizer holds; where
that is not installed they stay, on both sides of a comparison.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)


@lru_cache(maxsize=1)
def spellings() -> dict[str, str]:
    """Return British spellings and their American ones; empty without the package."""
    package = find_spec("whisper_normalizer")
    if package is None or package.origin is None:
        return {}
    table = Path(package.origin).parent / "normalizers" / "english.json"
    found: dict[str, str] = json.loads(table.read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=2)
def _normaliser(is_english: bool) -> Any:
    kind: Any = EnglishTextNormalizer if is_english else BasicTextNormalizer
    return kind(spellings()) if is_english else kind()


def normalised(text: str, language: str) -> str:
    """Return the text as it is compared: words with one space between them."""
    return " ".join(str(_normaliser(language == "en")(text)).split())
