"""Each line has what other texts of its window say in its place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.transcript import Alternative
from gpu_worker.transcription.alternatives import MOST, different, in_place_of

WORDS = ["we", "went", "to", "the", "old", "house", "by", "the", "river"]


def other(text: str, by: str = "greedy") -> Alternative:
    return Alternative(text, by, -0.5)


def test_a_line_has_the_part_of_the_other_text_that_is_in_its_place() -> None:
    others = [other("We went to a new mouse, by the river.")]
    assert in_place_of(WORDS, 0, 3, others) == ()  # both say the same
    [middle] = in_place_of(WORDS, 3, 6, others)
    assert middle.text == "a new mouse," and middle.by == "greedy"
    assert in_place_of(WORDS, 6, 9, others) == ()


def test_texts_that_say_the_same_are_one_and_no_more_are_kept_than_two() -> None:
    found = different("yes", [other("Yes!"), *(other(f"no {number}") for number in range(4))])
    assert [one.text for one in found] == ["no 0", "no 1"] and len(found) == MOST
    assert len(different("yes", [other("No."), other("no", "split")])) == 1


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=12),
    st.lists(st.sampled_from("abcx"), min_size=1, max_size=12),
    st.data(),
)
def test_the_lines_together_have_each_word_of_the_other_text_once(
    own: list[str], theirs: list[str], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(1, max(1, len(own) - 1)), max_size=3))
    edges = sorted({0, *cuts, len(own)})
    parts = [
        in_place_of(own, first, end, [other(" ".join(theirs))]) for first, end in pairwise(edges)
    ]
    said = [
        word
        for (first, end), found in zip(pairwise(edges), parts, strict=True)
        for word in (found[0].text.split() if found else own[first:end])
    ]
    # A line that the other text has nothing for keeps its own words here: those are the only ones.
    assert [word for word in said if word == "x"] == [word for word in theirs if word == "x"]
