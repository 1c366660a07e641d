"""How a transcript is to be written. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MaskStyle = Literal["first_letter", "all"]
NumberForm = Literal["as_heard", "digits", "words"]


@dataclass(frozen=True, slots=True)
class WritingRules:
    """The rules by which a transcript is written; by default it stays as it was heard."""

    replacements: tuple[tuple[str, str], ...] = ()  # a phrase as it is heard, and as it is written
    masked: tuple[str, ...] = ()  # words and phrases; one word may end in *: all that begin so
    mask_style: MaskStyle = "first_letter"  # f*** or ****
    numbers: NumberForm = "as_heard"
    digits_from: int = 10  # a number that stands alone below it is not written in digits
    keeps_spoken: bool = True  # what was heard stays in `spoken`
