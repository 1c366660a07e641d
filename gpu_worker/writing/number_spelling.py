"""Spell numbers in words, language by language.

The rules are those of Unicode's CLDR, as the library unicode-rbnf reads them. In many languages a
number has several forms, by what is counted (`veintiún años`, `veintiuna casas`). Only a
number whose forms are all alike is spelled: nothing here knows what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unicode_rbnf import RbnfEngine

LANGUAGES = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
PERCENT = {
    "da": "procent",
    "de": "Prozent",
    "en": "percent",
    "es": "por ciento",
    "fr": "pour cent",
    "it": "per cento",
    "nl": "procent",
    "pt": "por cento",
}
# Days, years and parts of a hundred are masculine in them, and so is the form of a bare number.
_MASCULINE = frozenset({"es", "fr", "it", "pt"})
_YEARS = frozenset({"de", "en", "nl"})  # 1984 is said as 19 and 84
_SAID_AS_COUNTS = range(2000, 2010)  # in English: two thousand and five
_DECIMALS = frozenset({"de", "en", "es", "it"})  # of the others the library has no rule
_BARE, _YEAR = "spellout-numbering", "spellout-numbering-year"
_ENGLISH, _ENGLISH_ORDINAL = "spellout-cardinal-verbose", "spellout-ordinal-verbose"
_MASCULINE_ORDINAL, _FEMININE_ORDINAL = "spellout-ordinal-masculine", "spellout-ordinal-feminine"
# By the ending that is written behind the digits: what may be said.
_ORDINALS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": dict.fromkeys(("st", "nd", "rd", "th"), (_ENGLISH_ORDINAL,)),
    "es": {
        "º": (_MASCULINE_ORDINAL, "spellout-ordinal-masculine-adjective"),  # tercero, tercer
        "ª": (_FEMININE_ORDINAL,),
    },
    "fr": {
        "er": (_MASCULINE_ORDINAL,),
        "re": (_FEMININE_ORDINAL,),
        "ère": (_FEMININE_ORDINAL,),
        "e": (_MASCULINE_ORDINAL, _FEMININE_ORDINAL),
        "ème": (_MASCULINE_ORDINAL, _FEMININE_ORDINAL),
    },
    "it": {"º": (_MASCULINE_ORDINAL,), "ª": (_FEMININE_ORDINAL,)},
    "nl": dict.fromkeys(("e", "de", "ste"), ("spellout-ordinal",)),
    "pt": {"º": (_MASCULINE_ORDINAL,), "ª": (_FEMININE_ORDINAL,)},
}


def cardinal(number: int, language: str) -> str | None:
    """Spell a number of things; None if its form depends on the things."""
    return _only_form(number, language, _cardinals(language))


def bare(number: int, language: str) -> str | None:
    """Spell a number of what is masculine, where that matters: days, and parts of a hundred."""
    rules = (_BARE,) if language in _MASCULINE else _cardinals(language)
    return _only_form(number, language, rules)


def year(number: int, language: str) -> str | None:
    """Spell a year; None in a language that says it in several ways."""
    if language in _YEARS and not (language == "en" and number in _SAID_AS_COUNTS):
        return _only_form(number, language, (_YEAR,))
    return bare(number, language)


def ordinal(number: int, language: str, ending: str) -> str | None:
    """Spell a place in an order, as of `3rd`; None if the ending is none or has several forms."""
    return _only_form(number, language, _ORDINALS.get(language, {}).get(ending, ()))


def decimal(number: str, language: str) -> str | None:
    """Spell a number with a point in it, digit by digit behind the point."""
    if language not in _DECIMALS:
        return None
    return _only_form(number, language, (_ENGLISH if language == "en" else _BARE,))


def _only_form(number: int | str, language: str, rules: Iterable[str]) -> str | None:
    """Return what a number is called by all of these rules; None if they differ."""
    if not (names := list(rules)):
        return None
    forms = set(
        _engine(language).format_number(number, ruleset_names=names).text_by_ruleset.values()
    )
    return forms.pop().replace(",", "") if len(forms) == 1 else None


@cache
def _cardinals(language: str) -> tuple[str, ...]:
    if language == "en":
        return (_ENGLISH,)
    rules = _engine(language).rulesets.values()
    return tuple(
        it.name
        for it in rules
        if not it.is_private and (it.name == _BARE or it.name.startswith("spellout-cardinal"))
    )


@cache
def _engine(language: str) -> RbnfEngine:
    from unicode_rbnf import RbnfEngine  # late: only vocabularies that ask for words need it

    return RbnfEngine.for_language(language)
