"""The scripts in which the languages of Whisper are written, by ISO 15924's names. Pure.

The table is of CLDR's likely scripts; Serbian, Kazakh, Uzbek and others are written in two.
"""

from __future__ import annotations

from collections.abc import Iterable

import regex

_LATIN = "Latin"
_SCRIPTS = {
    "Cyrillic": "ru uk bg sr mk kk mn be tg tt ba uz tk az bs",
    "Arabic": "ar fa ur ps sd pa ku ms",
    "Devanagari": "hi mr ne sa sd",
    "Han": "zh yue ja ko",
    "Hiragana": "ja",
    "Katakana": "ja",
    "Hangul": "ko",
    "Bopomofo": "zh",
    "Hebrew": "he yi",
    "Greek": "el",
    "Tamil": "ta",
    "Thai": "th",
    "Malayalam": "ml",
    "Telugu": "te",
    "Bengali": "bn as",
    "Kannada": "kn",
    "Armenian": "hy",
    "Gurmukhi": "pa",
    "Sinhala": "si",
    "Khmer": "km",
    "Georgian": "ka",
    "Gujarati": "gu",
    "Ethiopic": "am",
    "Lao": "lo",
    "Tibetan": "bo",
    "Myanmar": "my",
}
# Written in Latin letters, too; a language that is not in the table is written in them alone.
_ALSO_LATIN = frozenset({"sr", "bs", "uz", "tk", "az", "ku", "ms", "kk", "tt", "ba", "mn"})
_LETTER = regex.compile(r"\p{L}")
_OF_SCRIPT = {name: regex.compile(rf"\p{{Script={name}}}") for name in (*_SCRIPTS, _LATIN)}


def scripts_of(language: str) -> frozenset[str]:
    """Return the scripts of a language, by its code; Latin for one that is not in the table."""
    own = {name for name, codes in _SCRIPTS.items() if language in codes.split()}
    return frozenset(own | {_LATIN} if not own or language in _ALSO_LATIN else own)


def foreign_share(text: str, scripts: Iterable[str]) -> float:
    """Return the share of a text's letters that are in none of the scripts nor Latin.

    Latin letters stand in all languages, for names and abbreviations.
    """
    letters = _LETTER.findall(text)
    if not letters:
        return 0.0
    known = [_OF_SCRIPT[name] for name in {*scripts, _LATIN}]
    foreign = sum(not any(script.match(letter) for script in known) for letter in letters)
    return foreign / len(letters)
