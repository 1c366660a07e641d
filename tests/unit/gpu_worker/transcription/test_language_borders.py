"""A change of language is moved to where it is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import Span
from gpu_worker.transcription.language_borders import (
    HEARD_SECONDS,
    LONGEST_SLICE_SECONDS,
    Part,
    border,
    language_runs,
)

RATE = 16_000


def hear(parts: Sequence[Audio]) -> list[Mapping[str, float]]:
    """Hear English where samples are above zero, and German where they are below."""
    shares = [float(np.mean(part > 0)) for part in parts]
    return [{"en": 0.01 + 0.98 * share, "de": 0.99 - 0.98 * share} for share in shares]


def changing_at(seconds: float, total: float) -> Audio:
    """English up to a moment, then German."""
    audio = np.full(int(total * RATE), -0.5, np.float32)
    audio[: int(seconds * RATE)] = 0.5
    return audio


def part(origin: int, start: float, end: float) -> Part:
    return Part(origin, Span(int(start * RATE), int(end * RATE)))


@pytest.mark.parametrize("change", [3.2, 4.4, 5.9, 7.1])
def test_a_change_without_a_pause_is_found_within_half_a_slice(change: float) -> None:
    audio = changing_at(change, 10.0)
    parts = [part(0, 0.0, 5.0), part(0, 5.0, 10.0)]
    (_, before), (_, behind) = language_runs(audio, parts, ["en", "de"], hear)
    found = before[-1].span.end / RATE
    assert behind[0].span.start == before[-1].span.end
    assert abs(found - change) <= LONGEST_SLICE_SECONDS / 2


def test_a_change_at_a_pause_stays_there() -> None:
    audio = changing_at(5.5, 10.0)
    parts = [part(0, 0.0, 5.0), part(1, 6.0, 10.0)]
    (first, before), (second, behind) = language_runs(audio, parts, ["en", "de"], hear)
    assert (first, second) == ("en", "de")
    assert before[-1].span.end == 5 * RATE
    assert behind[0].span.start == 6 * RATE


def test_a_change_beside_a_pause_is_found_inside_the_speech_before_it() -> None:
    audio = changing_at(2.5, 10.0)
    parts = [part(0, 0.0, 5.0), part(1, 6.0, 10.0)]
    (_, before), (_, behind) = language_runs(audio, parts, ["en", "de"], hear)
    assert abs(before[-1].span.end / RATE - 2.5) <= LONGEST_SLICE_SECONDS / 2
    assert behind == [Part(0, Span(before[-1].span.end, 5 * RATE)), parts[1]]


def test_parts_of_one_language_are_not_heard() -> None:
    def fails(_: Sequence[Audio]) -> list[Mapping[str, float]]:
        raise AssertionError("Nothing had to be heard.")

    parts = [part(0, 0.0, 5.0), part(1, 6.0, 10.0)]
    assert language_runs(changing_at(5.0, 10.0), parts, ["en", "en"], fails) == [("en", parts)]


def test_no_sample_is_lost_where_a_language_is_spoken_between_two_changes() -> None:
    audio = np.concatenate([changing_at(3.0, 6.0), changing_at(4.0, 4.0)])
    parts = [part(0, 0.0, 3.0), part(0, 3.0, 6.0), part(0, 6.0, 10.0)]
    runs = language_runs(audio, parts, ["en", "de", "en"], hear)
    spans = [own.span for _, run in runs for own in run]
    assert [language for language, _ in runs] == ["en", "de", "en"]
    assert spans[0].start == 0
    assert spans[-1].end == len(audio)
    assert all(one.end == other.start for one, other in pairwise(spans))


def test_what_is_heard_around_a_slice_is_of_one_length() -> None:
    lengths: list[float] = []

    def listen(parts: Sequence[Audio]) -> list[Mapping[str, float]]:
        lengths.extend(len(one) / RATE for one in parts)
        return hear(parts)

    language_runs(
        changing_at(5.0, 10.0), [part(0, 0.0, 5.0), part(0, 5.0, 10.0)], ["en", "de"], listen
    )
    assert set(lengths) == {HEARD_SECONDS}


def test_a_slice_that_is_heard_wrongly_does_not_move_the_border() -> None:
    english, german = {"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.9}
    heard = [english, german, english, english, german, english, german, german]
    assert border([0.7] * 8, heard, ("en", "de")) == 4


def test_both_ends_of_a_short_run_are_moved() -> None:
    audio = np.concatenate([changing_at(4.2, 6.0), changing_at(4.0, 4.0)])
    parts = [part(0, 0.0, 3.0), part(0, 3.0, 7.0), part(0, 7.0, 10.0)]
    _, (_, [german]), _ = language_runs(audio, parts, ["en", "de", "en"], hear)
    assert abs(german.span.start / RATE - 4.2) <= LONGEST_SLICE_SECONDS / 2
    assert abs(german.span.end / RATE - 6.0) <= LONGEST_SLICE_SECONDS / 2


def test_each_of_the_two_languages_keeps_a_slice() -> None:
    english, german = {"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.9}
    assert border([0.7] * 3, [german] * 3, ("en", "de")) == 1
    assert border([0.7] * 3, [english] * 3, ("en", "de")) == 2


def test_a_change_leaves_a_pause_only_if_it_is_heard_clearly_elsewhere() -> None:
    english, german = {"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.9}
    heard = [english, english, german, german, german]
    assert border([1.0] * 5, heard, ("en", "de")) == 2
    assert border([1.0] * 5, heard, ("en", "de"), pause=3) == 3
    assert border([3.0] * 5, heard, ("en", "de"), pause=3) == 2
