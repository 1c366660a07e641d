"""Speech is cut into windows of one language each, also where no pause parts the languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import Span
from gpu_worker.transcription.language_runs import LanguageChoice
from gpu_worker.transcription.language_snippets import language_windows
from gpu_worker.transcription.windows import Window, pack_windows

RATE = 16_000
LONGEST = 30 * RATE
CHOICE = LanguageChoice(("de", "en"))


class Listener:
    """Hears English where samples are above zero, and German where they are below."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, snippets: Sequence[Audio]) -> list[Mapping[str, float]]:
        self.seconds += sum(map(len, snippets)) / RATE
        shares = [float(np.mean(snippet > 0)) for snippet in snippets]
        return [{"en": 0.01 + 0.98 * share, "de": 0.99 - 0.98 * share} for share in shares]


def said(*parts: tuple[str, float]) -> Audio:
    """Return so many seconds of each language, one behind the other."""
    signs = {"en": 0.5, "de": -0.5}
    levels = [np.full(int(length * RATE), signs[code], np.float32) for code, length in parts]
    return np.concatenate(levels)


def found(windows: Sequence[Window]) -> list[tuple[str | None, float, float]]:
    return [(one.language, one.spans[0].start / RATE, one.spans[-1].end / RATE) for one in windows]


def test_a_window_holds_one_language() -> None:
    audio = said(("en", 8), ("de", 6), ("en", 5))
    spans = [Span(0, 8 * RATE), Span(8 * RATE, 14 * RATE), Span(14 * RATE, 19 * RATE)]
    windows = language_windows(audio, spans, Listener(), CHOICE, LONGEST)
    assert found(windows) == [("en", 0, 8), ("de", 8, 14), ("en", 14, 19)]


def test_a_file_of_one_language_has_the_windows_that_it_has_without_a_choice() -> None:
    audio = said(("en", 70))
    spans = [Span(0, 12 * RATE), Span(13 * RATE, 40 * RATE), Span(41 * RATE, 69 * RATE)]
    windows = language_windows(audio, spans, Listener(), CHOICE, LONGEST)
    assert [one.spans for one in windows] == [one.spans for one in pack_windows(spans, LONGEST)]
    assert {one.language for one in windows} == {"en"}


def test_a_change_inside_speech_is_found_within_a_second() -> None:
    audio = said(("en", 9.3), ("de", 9.7))
    windows = language_windows(audio, [Span(0, len(audio))], Listener(), CHOICE, LONGEST)
    assert [one.language for one in windows] == ["en", "de"]
    assert abs(windows[0].spans[-1].end / RATE - 9.3) < 1.0
    assert windows[0].spans[-1].end == windows[1].spans[0].start


def test_no_sample_of_speech_is_lost_or_doubled() -> None:
    audio = said(("en", 7.7), ("de", 3.1), ("en", 12.4), ("de", 31.0))
    spans = [Span(0, 20 * RATE), Span(21 * RATE, len(audio))]
    windows = language_windows(audio, spans, Listener(), CHOICE, LONGEST)
    parts = [span for one in windows for span in one.spans]
    assert sum(part.samples for part in parts) == sum(span.samples for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(parts))
    assert all(one.samples <= LONGEST for one in windows)


def test_of_one_allowed_language_nothing_is_heard() -> None:
    listener = Listener()
    only = LanguageChoice(("de",))
    windows = language_windows(said(("en", 5)), [Span(0, 5 * RATE)], listener, only, LONGEST)
    assert found(windows) == [("de", 0, 5)]
    assert listener.seconds == 0


def test_speech_is_heard_twice_at_most_where_the_language_does_not_change() -> None:
    listener = Listener()
    audio = said(("en", 60))
    language_windows(audio, [Span(0, len(audio))], listener, CHOICE, LONGEST)
    assert listener.seconds == 60
