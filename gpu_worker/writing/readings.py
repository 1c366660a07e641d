"""Tell how a number in digits is read: as a count, as a day, or as a year. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum, auto

import regex

from gpu_worker.writing.months import BETWEEN, LAST_DAY, MONTHS
from gpu_worker.writing.number_pairs import second_of_pair
from gpu_worker.writing.tokens import Token

_MAY_BE_YEARS = range(1000, 2100)
WHOLE = regex.compile(r"0|[1-9][0-9]{0,3}")  # longer ones without groups are codes
_DAY = regex.compile(r"[0-9]{1,2}(?:st|nd|rd|th)?")
_COMMA = regex.compile(r",?\s+")
# Words that stand before a year, and seldom before a count. A year such as 1500 with a word behind
# it (`in 1500 cases`) is sure only after the last word of each row.
_CLUES = {
    "de": ("seit", "anno", "jahre", "jahr"),
    "en": ("in", "since", "until", "during", "circa", "year"),
    "es": ("en", "desde", "año"),
    "fr": ("en", "depuis", "année"),
    "it": ("nel", "dal", "anno"),
    "nl": ("in", "sinds", "jaar"),
    "pt": ("em", "desde", "ano"),
}
# `In May 3 people`, but `on May 3 people`: before these words a month has no day.
_NO_DAYS = frozenset({"in", "since", "by", "until", "during", "this", "last", "next", "every"})
_VERBS = frozenset({"march", "may"})
# Languages whose days are cardinals without a mark, but the first: le 3 mai, el 3 de mayo.
_CARDINAL_DAYS = frozenset({"es", "fr", "it", "nl", "pt"})


class Reading(Enum):
    """How a number is read."""

    COUNT = auto()
    DAY = auto()
    ENGLISH_DAY = auto()  # an ordinal behind its month
    YEAR = auto()
    COUNT_OR_YEAR = auto()
    UNCLEAR = auto()  # of a date that is read in several ways

    @property
    def is_of_date(self) -> bool:
        """Whether numbers beside it belong to the same date."""
        return self in (Reading.ENGLISH_DAY, Reading.YEAR)


def reading_of(
    text: str, tokens: Sequence[Token], at: int, language: str, left: Collection[int]
) -> Reading:
    """Tell how a token with digits is read; `left`: those before it whose digits stay."""
    if not WHOLE.fullmatch(tokens[at].text):
        return Reading.COUNT
    number = int(tokens[at].text)
    if 1 <= number <= LAST_DAY:
        return _day(text, tokens, at, language)
    if number in _MAY_BE_YEARS:
        return _year(text, tokens, at, language, left)
    return Reading.COUNT


def _day(text: str, tokens: Sequence[Token], at: int, language: str) -> Reading:
    number = int(tokens[at].text)
    if _month_behind(text, tokens, at, language):
        is_cardinal = language in _CARDINAL_DAYS and number > 1
        return Reading.DAY if is_cardinal else Reading.UNCLEAR
    if language != "en" or not _is_month(text, tokens, at - 1, language):
        return Reading.COUNT
    if not tokens[at].is_joined:
        return Reading.COUNT
    after = [it for it in tokens[at + 1 : at + 2] if it.is_joined]
    if not after or _is_year_number(after[0]):
        return Reading.ENGLISH_DAY
    if after[0].has_digits:
        return Reading.COUNT
    second = second_of_pair(tokens, at, language)
    if second is not None and tokens[second].has_digits:
        return Reading.UNCLEAR  # June 5 to 7
    if at > 1 and tokens[at - 1].is_joined:
        is_clear = tokens[at - 2].text not in _NO_DAYS
    else:
        is_clear = tokens[at - 1].text not in _VERBS  # May 3 people come in?
    return Reading.ENGLISH_DAY if is_clear else Reading.UNCLEAR


def _month_behind(text: str, tokens: Sequence[Token], at: int, language: str) -> bool:
    behind = at + 1
    if behind < len(tokens) and tokens[behind].text == BETWEEN.get(language):
        behind += 1
    joined = tokens[at + 1 : behind + 1]
    return all(it.is_joined for it in joined) and _is_month(text, tokens, behind, language)


def _year(
    text: str, tokens: Sequence[Token], at: int, language: str, left: Collection[int]
) -> Reading:
    if language == "en" and _has_english_day(text, tokens, at):
        return Reading.UNCLEAR if at - 1 in left else Reading.YEAR
    before = at - 1
    if at and tokens[at].is_joined and tokens[before].text == BETWEEN.get(language):
        before -= 1
    if all(it.is_joined for it in tokens[before + 1 : at + 1]) and _is_month(
        text, tokens, before, language
    ):
        day = before - 1
        if day >= 0 and tokens[day].text == BETWEEN.get(language):
            day -= 1
        return Reading.UNCLEAR if day in left else Reading.YEAR
    clue = tokens[at - 1].text if at and tokens[at].is_joined else ""
    clues = _CLUES.get(language, ())
    if clue not in clues:
        return Reading.COUNT_OR_YEAR
    is_followed = any(it.is_joined for it in tokens[at + 1 : at + 2])
    is_sure = clue == clues[-1] or int(tokens[at].text) % 100 != 0 or not is_followed
    return Reading.YEAR if is_sure else Reading.COUNT_OR_YEAR


def _has_english_day(text: str, tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a month and a day stand before: `May 3, 2024`."""
    if at < 2 or not _DAY.fullmatch(tokens[at - 1].text):
        return False
    gap = text[tokens[at - 1].end : tokens[at].start]
    return _COMMA.fullmatch(gap) is not None and _is_month(text, tokens, at - 2, "en")


def _is_month(text: str, tokens: Sequence[Token], at: int, language: str) -> bool:
    """Tell whether a token is a month; in English `may` and `march` are verbs too."""
    if not 0 <= at < len(tokens) or tokens[at].text not in MONTHS[language]:
        return False
    return language != "en" or text[tokens[at].start].isupper()


def _is_year_number(token: Token) -> bool:
    return WHOLE.fullmatch(token.text) is not None and int(token.text) in _MAY_BE_YEARS
