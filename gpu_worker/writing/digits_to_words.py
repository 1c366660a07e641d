"""Find numbers that are written in digits, and write them in words. Pure.

A number is written in words only where the words are certain. What may be a code, a name, a time or
a telephone number stays in digits, and so does a number that is read in several ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex

from gpu_worker.writing import number_spelling
from gpu_worker.writing.edits import Edit
from gpu_worker.writing.number_pairs import second_of_pair
from gpu_worker.writing.number_spelling import LANGUAGES, PERCENT
from gpu_worker.writing.numbered_names import is_numbered_name
from gpu_worker.writing.readings import WHOLE, Reading, reading_of
from gpu_worker.writing.tokens import Token

SENTENCE_ENDS = (".", "?", "!", "…")
_GROUPED = {
    mark: regex.compile(rf"[1-9][0-9]{{0,2}}{regex.escape(mark)}[0-9]{{3}}") for mark in ",."
}
_DECIMAL = {
    # One digit: 3.11 may be a version, 10.30 a time, 12.50 a price.
    mark: regex.compile(rf"(?:0|[1-9][0-9]{{0,2}}){regex.escape(mark)}[0-9]")
    for mark in ",."
}
_ORDINAL = regex.compile(r"([1-9][0-9]{0,2})\.?(\p{L}{1,3})")
_AFTER = regex.compile(r"[.,;:!?…)\]”»]*(?=\s|\Z)")
_STOPS_OF_ORDINALS = frozenset({"da", "de"})  # der 3. Mai: no end of a sentence
_COMPOUND = regex.compile(r"-(?=\p{Ll})(?!\S*\p{N})")  # in English: a 25-year-old man
_RANGE = regex.compile(r"\s*[–—−-]\s*\p{N}")  # 3 – 2
_RANGE_BEFORE = regex.compile(r"\p{N}\s?[–—−-]\s?\Z")
_ENDED = regex.compile(r"[.?!…][”»\")]*(?=\s|\Z)")
_SYMBOL = regex.compile(r"[\p{S}&@#*%‰]")
_HEAD = 64  # characters
_OPENING = '([“«„‘¿¡"'
_MARKS = f" \u00a0{_OPENING}”»)]’"
# Behind digits: units, halves of a day, and the x of a size.
_UNITS = frozenset({
    "mm", "cm", "dm", "m", "km", "mg", "g", "kg", "t", "ml", "cl", "l", "s", "ms", "min", "h", "hz",
    "khz", "mhz", "ghz", "kb", "mb", "gb", "tb", "w", "kw", "mw", "kwh", "v", "kv", "ma", "km/h",
    "kbit/s", "mbit/s", "am", "pm", "a.m", "p.m", "x",
})  # fmt: skip
_TIMES = "x"
# Before digits: with their full stop no end of a sentence.
_SHORT = frozenset({
    "abs.", "approx.", "art.", "bd.", "ca.", "cap.", "ch.", "eq.", "fig.", "figs.", "kap.", "no.",
    "nos.", "nr.", "núm.", "p.", "pág.", "pp.", "sec.", "st.", "tel.", "vol.", "vs.",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Written:
    """A token with digits, and what stands beside it in one phrase."""

    text: str
    token: Token
    end: int  # one past the number's last character: behind a sign of percent
    before: Token | None
    after: Token | None
    language: str

    @property
    def number(self) -> str:
        return self.text[self.token.start : self.token.end].removesuffix("%")

    @property
    def is_percent(self) -> bool:
        return self.text[self.end - 1] == "%"


def spelled_numbers(
    text: str, tokens: Sequence[Token], language: str | None, *, is_start: bool = True
) -> Iterator[Edit]:
    """Yield the numbers of a text in words; none in a language that is not in LANGUAGES.

    `is_start`: a sentence begins with the text.
    """
    if language not in LANGUAGES:
        return
    found: dict[int, Edit | None] = {}  # by their tokens; None: its digits stay
    left: set[int] = set()
    for at, token in enumerate(tokens):
        if not token.has_digits:
            continue
        written = _written(text, tokens, at, language)
        reading = reading_of(text, tokens, at, language, left)
        words = None if _is_code(written, reading) else _words(written, reading)
        if words is None:
            left.add(at)
        elif _begins_sentence(text, token.start, is_start):
            words = words[0].upper() + words[1:]
        found[at] = None if words is None else Edit(token.start, written.end, words)
    _keep_pairs(found, tokens, language)
    yield from filter(None, found.values())


def _keep_pairs(found: dict[int, Edit | None], tokens: Sequence[Token], language: str) -> None:
    """Leave both numbers of a pair in digits where one of them stays."""
    for first in (*found, *reversed(found)):  # a row of pairs from both ends
        second = second_of_pair(tokens, first, language)
        if second in found and None in (found[first], found[second]):
            found[first] = found[second] = None


def _written(text: str, tokens: Sequence[Token], at: int, language: str) -> _Written:
    token = tokens[at]
    before = tokens[at - 1] if at and token.is_joined else None
    rest = [it for it in tokens[at + 1 : at + 2] if it.is_joined]
    if rest and rest[0].text == "%":
        end = rest[0].end
        rest = [it for it in tokens[at + 2 : at + 3] if it.is_joined]
    else:
        end = token.end
    return _Written(text, token, end, before, rest[0] if rest else None, language)


def _words(written: _Written, reading: Reading) -> str | None:
    """Return the words of a number; None if there are none, or several."""
    number, language = written.number, written.language
    point, group = (".", ",") if language == "en" else (",", ".")
    if written.is_percent:
        words = _percentage(number, language, point)
        return words and f"{words} {PERCENT[language]}"
    if found := _ORDINAL.fullmatch(number):
        return number_spelling.ordinal(int(found[1]), language, found[2].lower())
    if _DECIMAL[point].fullmatch(number):
        return number_spelling.decimal(number.replace(point, "."), language)
    if _GROUPED[group].fullmatch(number):
        return number_spelling.cardinal(int(number.replace(group, "")), language)
    return _read(int(number), language, reading) if WHOLE.fullmatch(number) else None


def _percentage(number: str, language: str, point: str) -> str | None:
    if _DECIMAL[point].fullmatch(number):
        return number_spelling.decimal(number.replace(point, "."), language)
    return number_spelling.bare(int(number), language) if WHOLE.fullmatch(number) else None


def _read(number: int, language: str, reading: Reading) -> str | None:
    match reading:
        case Reading.COUNT:
            return number_spelling.cardinal(number, language)
        case Reading.DAY:
            return number_spelling.bare(number, language)
        case Reading.ENGLISH_DAY:
            return number_spelling.ordinal(number, language, "th")
        case Reading.YEAR:
            return number_spelling.year(number, language)
        case Reading.COUNT_OR_YEAR:
            words = number_spelling.cardinal(number, language)
            return words if words == number_spelling.year(number, language) else None
    return None


def _is_code(written: _Written, reading: Reading) -> bool:
    """Tell whether what stands around a number makes a code, a name or a quantity of it."""
    text, token, before, after = written.text, written.token, written.before, written.after
    head = _head(text, token.start).rstrip(_OPENING)
    if (head and not head[-1].isspace()) or not _ends(written, reading):
        return True
    if _RANGE.match(text, written.end) or _RANGE_BEFORE.search(head[-4:]):
        return True
    if after and (after.text in _UNITS or _SYMBOL.match(after.text)):
        return True
    if before and (before.text == _TIMES or _SYMBOL.match(before.text[-1])):
        return True
    if not reading.is_of_date and any(it and it.has_digits for it in (before, after)):
        return True  # telephone numbers, ranges, results
    return _is_short(text, token) or (before is not None and _is_name(written, before))


def _ends(written: _Written, reading: Reading) -> bool:
    """Tell whether a number ends where its digits do."""
    text, end = written.text, written.end
    if written.language in _STOPS_OF_ORDINALS and text[end : end + 1] == ".":
        return reading is Reading.YEAR or not WHOLE.fullmatch(written.number)
    if written.language == "en" and _COMPOUND.match(text, end):
        return True
    return _AFTER.match(text, end) is not None


def _is_name(written: _Written, before: Token) -> bool:
    """Tell whether a number is a part of the name before it: `a Boeing 747`."""
    text = written.text
    word, is_first = text[before.start : before.end], _begins_sentence(text, before.start, True)
    return is_numbered_name(word, written.language, begins_sentence=is_first)


def _is_short(text: str, token: Token) -> bool:
    """Tell whether a short form stands before a number: `No. 5`, `p. 12`."""
    words = _head(text, token.start).split()
    return bool(words) and words[-1].casefold() in _SHORT


def _begins_sentence(text: str, start: int, is_start: bool) -> bool:
    before = _head(text, start).rstrip(_MARKS)
    if before or start > _HEAD:
        last = before.split()[-1:]
        is_short = any("." in word.rstrip(".") for word in last)  # i.e.
        return before.endswith(SENTENCE_ENDS) and not is_short
    return is_start and (text != text.lower() or _ENDED.search(text) is not None)


def _head(text: str, start: int) -> str:
    """Return the end of what stands before a number: in a long text all of it takes long."""
    return text[max(0, start - _HEAD) : start]
