"""Write Praat's TextGrid, in its long text format (Praat's manual, "TextGrid file formats").

An interval tier has no holes: silence is an interval with an empty text. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_worker.assembly.shown_words import milliseconds
from gpu_worker.assembly.tiers import Interval, Tier, tiers_and_turns
from gpu_worker.transcript import Transcript


def textgrid(transcript: Transcript) -> str:
    """Return the text of a TextGrid with the segments, the words and each speaker's turns."""
    tiers = tiers_and_turns(transcript)
    last = max((tier.intervals[-1].end_ms for tier in tiers), default=1)
    end_ms = max(milliseconds(transcript.duration), last)
    end = _seconds(end_ms)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0 ", f"xmax = {end} ", "tiers? <exists> ", f"size = {len(tiers)} "]
    lines.append("item []: ")
    for number, tier in enumerate(tiers, start=1):
        filled = list(_without_holes(tier, end_ms))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier" ',
            f"        name = {_quoted(tier.name)} ",
            "        xmin = 0 ",
            f"        xmax = {end} ",
            f"        intervals: size = {len(filled)} ",
        ]
        for place, interval in enumerate(filled, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_seconds(interval.start_ms)} ",
                f"            xmax = {_seconds(interval.end_ms)} ",
                f"            text = {_quoted(interval.text)} ",
            ]
    return "\n".join(lines) + "\n"


def _without_holes(tier: Tier, end_ms: int) -> Iterator[Interval]:
    free = 0
    for interval in tier.intervals:
        if interval.start_ms > free:
            yield Interval(free, interval.start_ms, "")
        yield interval
        free = interval.end_ms
    if free < end_ms:
        yield Interval(free, end_ms, "")


def _seconds(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds}.{rest:03d}" if rest else str(seconds)


def _quoted(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'
