"""Find what cues violate of a subtitle profile, of any program. Pure.

Times of subtitle files are whole milliseconds and most frames are not, so a time that misses
its limit by a millisecond keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gpu_worker.assembly.cue import Cue
from gpu_worker.assembly.subtitle_profiles import (
    Limits,
    Profile,
    checked_frame_rate,
    profile_named,
)
from gpu_worker.words import split_words

ROUNDING_MS = 1  # by so much a time may miss its limit
# In the order in which a cue's violations are listed.
RULES = {
    "lines": "lines",
    "line_width": "characters in a line",
    "characters_a_second": "characters a second",
    "words_a_minute": "words a minute",
    "shortest": "ms on the screen, too short",
    "longest": "ms on the screen, too long",
    "overlap": "ms before the next cue, which has begun",
    "gap": "ms to the next cue, too few",
    "open_gap": "ms to the next cue: a gap to close",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that one cue does not keep to."""

    cue: int  # 1 is the first
    start_ms: int
    end_ms: int
    rule: str  # one of RULES
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class SubtitleReport:
    """All that a file of subtitles violates of a profile."""

    profile: str
    frame_rate: float
    cues: int
    violations: tuple[Violation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON, with the number of violations of each rule."""
        counts = Counter(violation.rule for violation in self.violations)
        return {
            "profile": self.profile,
            "frame_rate": self.frame_rate,
            "cues": self.cues,
            "by_rule": {rule: counts[rule] for rule in RULES if counts[rule]},
            "violations": [asdict(violation) for violation in self.violations],
        }


def report_of(
    cues: Sequence[Cue], profile: str, frame_rate: float | None, language: str | None
) -> SubtitleReport:
    """Return the report of cues in their order; `language` is that of cues without one.

    Raises `InvalidOption` for an unknown profile or frame rate.
    """
    chosen = profile_named(profile)
    rate = checked_frame_rate(chosen, frame_rate)
    found = tuple(_violations(cues, chosen, rate, language))
    return SubtitleReport(profile, rate, len(cues), found)


def _violations(
    cues: Sequence[Cue], profile: Profile, frame_rate: float, language: str | None
) -> Iterator[Violation]:
    for index, cue in enumerate(cues):
        limits = profile.limits_of(cue.language or language)
        following = cues[index + 1] if index + 1 < len(cues) else None
        broken = [*_of_text(cue, limits), *_of_length(cue, limits)]
        if following is not None:
            broken += _of_gap(following.start_ms - cue.end_ms, limits, frame_rate)
        for rule, value, limit in broken:
            rounded = round(value, 2)
            yield Violation(index + 1, cue.start_ms, cue.end_ms, rule, rounded, limit)


def _of_text(cue: Cue, limits: Limits) -> Iterator[tuple[str, float, float]]:
    lines = cue.text.split("\n")
    widths = [limits.width(line) for line in lines]
    if len(lines) > limits.lines:
        yield "lines", len(lines), limits.lines
    if max(widths) > limits.line_width:
        yield "line_width", max(widths), limits.line_width
    seconds = (cue.end_ms - cue.start_ms) / 1000
    lenient = seconds + ROUNDING_MS / 1000
    most = limits.characters_a_second
    if most is not None and sum(widths) > most * lenient:
        yield "characters_a_second", sum(widths) / seconds, most
    if (most := limits.words_a_minute) is not None:
        words = len(split_words(cue.text))
        if words * 60 > most * lenient:
            yield "words_a_minute", words * 60 / seconds, most


def _of_length(cue: Cue, limits: Limits) -> Iterator[tuple[str, float, float]]:
    shown = cue.end_ms - cue.start_ms
    if limits.shortest_ms is not None and shown + ROUNDING_MS < limits.shortest_ms:
        yield "shortest", shown, limits.shortest_ms
    if limits.longest_ms is not None and shown - ROUNDING_MS > limits.longest_ms:
        yield "longest", shown, limits.longest_ms


def _of_gap(gap: int, limits: Limits, frame_rate: float) -> Iterator[tuple[str, float, float]]:
    least = limits.gap_frames * 1000 / frame_rate
    if gap < 0:
        yield "overlap", gap, 0
    elif gap + ROUNDING_MS < least:
        yield "gap", gap, round(least, 2)
    elif gap - ROUNDING_MS > least and gap + ROUNDING_MS < limits.open_gap_ms:
        yield "open_gap", gap, limits.open_gap_ms
