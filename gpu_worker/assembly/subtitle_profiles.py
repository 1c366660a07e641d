"""Subtitle profiles: the limits of cues that a broadcaster asks for, by language.

Sources, as of November 2026. Netflix: the Timed Text Style Guides "General Requirements" (article
215758617: lines, durations), "Subtitle Timing Guidelines" (360051554394: gaps, out-times up to
half a second after the sound) and those of the languages (characters a line and a second, for
programs for adults). BBC: "Subtitle Guidelines" (bbc.github.io/subtitle-guidelines), sections 3.1
and 3.3 (37 characters, two lines), 4.1 (160 to 180 words a minute, at least 0.3 s a word), 4.5
(a gap of a second or none) and 5.2 (at most 1.5 s before and after the sound). Limits only: what
a program can measure in a file of subtitles. Rules about shots, glyphs, italics or wording are not
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from unicodedata import east_asian_width

import regex

from gpu_worker.assembly.shown_words import visible_characters
from gpu_worker.errors import InvalidOption
from gpu_worker.words import UNSPACED_LANGUAGES

FRAME_RATES = (12.0, 120.0)  # the lowest and the highest that is taken
_CLUSTER = regex.compile(r"(?!\p{Cf})\X")


@dataclass(frozen=True, slots=True)
class Limits:
    """What cues in one language must keep to; None is no limit."""

    line_width: int  # characters of a line
    characters_a_second: float | None = None
    words_a_minute: float | None = None
    lines: int = 2
    shortest_ms: int | None = None
    longest_ms: int | None = None
    gap_frames: int = 0  # the least between two cues
    open_gap_ms: int = 0  # a gap that is shorter is closed to the least
    linger_ms: int = 0  # how long a cue may stay after the sound, to be read
    lead_ms: int = 0  # how long it may come before the sound, where that is not enough
    halves: bool = False  # a character that is not wide counts a half, as in Japanese

    def width(self, text: str) -> float:
        """Count the characters of a line."""
        if not self.halves:
            return visible_characters(text)
        wide = (east_asian_width(cluster[0][0]) in "WF" for cluster in _CLUSTER.finditer(text))
        return sum(1.0 if is_wide else 0.5 for is_wide in wide)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of limits."""

    name: str
    frame_rate: float  # frames a second, where none is given
    limits: Limits
    languages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # other limits
    ease: float = 1.0  # the share of the highest reading speed that is aimed at

    def limits_of(self, language: str | None) -> Limits:
        """Return the limits of a language, given by its code."""
        code = (language or "").partition("-")[0].lower()
        return replace(self.limits, **self.languages.get(code, {}))


def profile_named(name: str) -> Profile:
    """Return the profile of that name. Raises `InvalidOption` if there is none."""
    if name not in PROFILES:
        raise InvalidOption(
            f"There is no subtitle profile {name!r}.", hint=f"Use one of: {', '.join(PROFILES)}."
        )
    return PROFILES[name]


def checked_frame_rate(profile: Profile, frame_rate: float | None) -> float:
    """Return the frame rate to use. Raises `InvalidOption` for one that no video has."""
    rate = profile.frame_rate if frame_rate is None else frame_rate
    lowest, highest = FRAME_RATES
    if not lowest <= rate <= highest:
        raise InvalidOption(
            f"frame_rate is {rate:g}, but must be from {lowest:g} to {highest:g}.",
            hint="Leave frame_rate out to have the profile's.",
        )
    return rate


_CHINESE: Mapping[str, Any] = {"line_width": 16, "characters_a_second": 9.0, "halves": True}
_NETFLIX_LANGUAGES: Mapping[str, Mapping[str, Any]] = {
    "ar": {"characters_a_second": 20.0},
    "en": {"characters_a_second": 20.0},
    "hi": {"characters_a_second": 22.0},
    "ja": {"line_width": 13, "characters_a_second": 4.0, "halves": True},
    "ko": {"line_width": 16, "characters_a_second": 12.0, "halves": True},
    "th": {"line_width": 35},
    "yue": _CHINESE,
    "zh": _CHINESE,
}
# In languages without spaces a word is not what the BBC counts: Netflix's characters a second
# stand in.
_BBC_LANGUAGES: Mapping[str, Mapping[str, Any]] = {
    code: {"words_a_minute": None, "characters_a_second": 17.0, **_NETFLIX_LANGUAGES.get(code, {})}
    for code in sorted(UNSPACED_LANGUAGES)
}

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "netflix": Profile(
            "netflix",
            24.0,
            Limits(
                line_width=42,
                characters_a_second=17.0,
                shortest_ms=833,  # five sixths of a second
                longest_ms=7_000,
                gap_frames=2,
                open_gap_ms=500,
                linger_ms=500,
            ),
            _NETFLIX_LANGUAGES,
        ),
        "bbc": Profile(
            "bbc",
            25.0,
            Limits(
                line_width=37,
                words_a_minute=200.0,
                open_gap_ms=1_000,
                linger_ms=1_500,
                lead_ms=1_500,
            ),
            _BBC_LANGUAGES,
            ease=0.9,  # 180 words a minute
        ),
    }
)
