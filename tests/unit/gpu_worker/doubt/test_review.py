from __future__ import annotations

from gpu_worker.doubt.review import combined, flagged, review
from gpu_worker.doubt.signs import Surroundings
from gpu_worker.transcript import Flag, Review, Segment, TranscriptWarning


def test_the_review_list_has_the_worst_first_and_spans_without_text_too() -> None:
    segments = (
        Segment(0.0, 1.0, "Fine."),
        Segment(1.0, 2.0, "Odd.", flags=(Flag("unstable", 0.5, ""),)),
        Segment(2.0, 3.0, "Bad.", flags=(Flag("repetition", 0.9, ""), Flag("too_fast", 0.5, ""))),
    )
    warnings = (
        TranscriptWarning("missing_span", "…", 5.0, 6.0),
        TranscriptWarning("speech_without_words", "…", 3.0, 4.0),
        TranscriptWarning("prompt_cut", "…"),
    )
    assert review(segments, warnings) == (
        Review(5.0, 6.0, 1.0, ("missing",)),
        Review(2.0, 3.0, 0.95, ("repetition", "too_fast"), 2),
        Review(3.0, 4.0, 0.6, ("no_text",)),
        Review(1.0, 2.0, 0.5, ("unstable",), 1),
    )


def test_several_signs_together_are_worse_than_each() -> None:
    assert combined([Flag("a", 0.5, ""), Flag("b", 0.5, "")]) == 0.75
    assert combined([]) == 0.0


def test_flags_that_a_segment_has_already_are_kept() -> None:
    own = Flag("decoded_again", 0.2, "By a beam search.")
    [segment] = flagged([Segment(0.0, 9.0, "so so so so so so", flags=(own,))], Surroundings("en"))
    assert [flag.code for flag in segment.flags] == ["repetition", "decoded_again"]
    assert flagged([segment], Surroundings("en")) == (segment,)
