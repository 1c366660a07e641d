"""Find numbers that are written in words, and write them in digits. Pure.

The grammar of each language is that of the library text2num. It reads a list of tokens, so
that a pause or a mark between two numbers keeps them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gpu_worker.writing.months import BETWEEN, LAST_DAY, MONTHS
from gpu_worker.writing.tokens import Token

LANGUAGES = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
LONGEST_PAUSE = 1.0  # seconds within a number
SEQUENCE = 3  # so many small numbers in a row are said one by one, as of a telephone
_MILLION = 1_000_000
_THOUSANDS = {"en": ",", "fr": "\u202f"}  # between groups of three digits; elsewhere a full stop
# English words that are no number alone: in `a million people`, "a" is a part of it.
_ALONE = frozenset({"hundred", "thousand", "million", "billion", "trillion"})
# A year in English is said as two numbers: its century from 11 to 20, and 1 to 99.
_CENTURIES, _YEARS = range(11, 21), range(1, 100)
_YEAR_DIGITS = 2  # `nineteen five` is no year: 1905 has its nought said
_DECADES = frozenset(
    ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"]
)
_NOUGHT = "o"  # as text2num knows it; Whisper writes `oh`
_ONE_TO_NINE = frozenset(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text: its tokens from `first` up to `last`, and its digits."""

    first: int
    last: int  # one past its last token
    text: str
    value: float
    is_ordinal: bool


@dataclass(frozen=True, slots=True)
class _Heard:
    """A token as text2num reads it."""

    token: Token
    said: str
    is_name: bool = False  # `o` before an apostrophe is no nought: ten o'clock, ten O'Briens

    def text(self) -> str:
        return self.said

    def nt_separated(self, previous: _Heard) -> bool:
        return not self.token.is_joined or self.token.pause > LONGEST_PAUSE

    def not_a_number_part(self) -> bool:
        return self.is_name or self.token.has_digits


def numbers_in(tokens: Sequence[Token], language: str | None, least: int) -> Iterator[Number]:
    """Yield the numbers in a text; none in a language that is not in LANGUAGES.

    Whole numbers below `least` are none where they stand alone or by twos, unless one is the day
    of a date: in most texts "one" is no number.
    """
    if language not in LANGUAGES:
        return
    from text_to_num import find_numbers  # late: only vocabularies that ask for digits need it

    heard = [_heard(tokens, at, language) for at in range(len(tokens))]
    found = [
        Number(it.start, it.end, it.text, it.value, it.is_ordinal)
        for it in find_numbers(heard, language, 0.0)
        if not _follows_digits(tokens, it.start)
        and not (it.end - it.start == 1 and tokens[it.start].text in _ALONE)
        and not (language == "en" and _is_decade(tokens, it.end))
    ]
    for run in _runs(found, tokens):
        if language == "en" and (year := _year_of(run, tokens)):
            yield from run[:-2]  # the day before it
            yield year
            continue
        are_small = all(number.value < least and _is_plain(number) for number in run)
        for number in run:
            if len(run) >= SEQUENCE or not are_small or _is_day(number, tokens, language):
                yield _grouped(number, language)


def _runs(found: Iterable[Number], tokens: Sequence[Token]) -> list[list[Number]]:
    """Put numbers that follow each other without a pause into one run; ordinals by themselves."""
    runs: list[list[Number]] = []
    for number in found:
        first = tokens[number.first]
        is_next = first.is_joined and first.pause <= LONGEST_PAUSE
        before = runs[-1][-1] if runs and is_next else None
        if before and before.last == number.first and before.is_ordinal == number.is_ordinal:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _heard(tokens: Sequence[Token], at: int, language: str) -> _Heard:
    token = tokens[at]
    before, after = tokens[max(at - 1, 0) : at], tokens[at + 1 : at + 2]
    if language != "en":
        return _Heard(token, token.text)
    is_within = token.is_joined and token.pause <= LONGEST_PAUSE
    if token.text == "oh" and is_within and before and after and after[0].is_joined:
        # `nineteen oh five`; elsewhere `oh` is a sigh.
        is_nought = before[0].text.endswith(("teen", "twenty")) and after[0].text in _ONE_TO_NINE
        return _Heard(token, _NOUGHT if is_nought else token.text)
    return _Heard(token, token.text, token.text == _NOUGHT and any(it.is_elided for it in after))


def _is_plain(number: Number) -> bool:
    """Tell whether it is a whole number: `0.5` and `007` are written so for a reason."""
    return number.is_ordinal or number.text == str(int(number.value))


def _is_day(number: Number, tokens: Sequence[Token], language: str) -> bool:
    """Tell whether a number is a day: `third of May`, `May third`, `trois mai`, `dritten Mai`.

    In English only ordinals are, as `may` and `march` are verbs too; and `un` is an article.
    """
    if not 1 <= number.value <= LAST_DAY:
        return False
    if not number.is_ordinal and (language == "en" or number.value == 1):
        return False
    after = [token.text for token in tokens[number.last : number.last + 2]]
    if after[:1] == [BETWEEN.get(language)]:
        after = after[1:]
    before = tokens[number.first - 1].text if number.first and language == "en" else ""
    return bool(MONTHS[language] & {before, *after[:1]})


def _year_of(run: Sequence[Number], tokens: Sequence[Token]) -> Number | None:
    """Return the year that a run is, alone or behind the day of a date: `May one twenty ten`."""
    if len(run) not in (2, 3) or run[0].is_ordinal:
        return None
    if len(run) == 3:
        month = tokens[run[0].first - 1].text if run[0].first else ""
        if month not in MONTHS["en"] or not 1 <= run[0].value <= LAST_DAY:
            return None
    century, year = run[-2:]
    if century.value not in _CENTURIES or year.value not in _YEARS:
        return None
    if len(year.text) != _YEAR_DIGITS:
        return None
    return Number(century.first, year.last, century.text + year.text, 0.0, False)


def _is_decade(tokens: Sequence[Token], last: int) -> bool:
    """Tell whether the word behind a number makes a decade of it: `the nineteen eighties`."""
    after = tokens[last : last + 1]
    return any(it.is_joined and it.text in _DECADES for it in after)


def _grouped(number: Number, language: str) -> Number:
    """Return a number from a million on with its digits in groups of three."""
    if number.value < _MILLION or not number.text.isdecimal():
        return number
    text = f"{int(number.text):,}".replace(",", _THOUSANDS.get(language, "."))
    return Number(number.first, number.last, text, number.value, number.is_ordinal)


def _follows_digits(tokens: Sequence[Token], first: int) -> bool:
    """Tell whether digits stand right before: `5 million` is one number, and written already."""
    return first > 0 and tokens[first].is_joined and tokens[first - 1].text[-1:].isdecimal()
