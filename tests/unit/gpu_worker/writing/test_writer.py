"""A transcript is written as people want it, and what was heard is kept beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.transcript import (
    Alternative,
    Flag,
    Transcript,
    TranscriptWarning,
    segment_to_json,
    segments_from_json,
    transcript_to_json,
)
from gpu_worker.words import word_places
from gpu_worker.writing.edits import spoken_words
from gpu_worker.writing.rules import NumberForm, WritingRules
from gpu_worker.writing.writer import NUMBERS_IN_DIGITS, NUMBERS_IN_WORDS, Writer
from tests.unit.gpu_worker.writing.heard import IN_WORDS, RULES, a_segment, texts, written

NAMES = (("pie torch", "PyTorch"), ("kubernetties", "Kubernetes"))


def letters(text: str) -> str:
    return "".join(text.split())


@given(texts, st.sampled_from((RULES, IN_WORDS)), st.sampled_from(("en", "de", "fr")))
def test_words_are_the_text_their_times_run_on_and_nothing_that_was_heard_is_lost(
    text: str, rules: WritingRules, language: str
) -> None:
    heard = a_segment(text)
    (segment,) = Writer(rules).segments([heard], language)
    words = segment.words
    assert {word for word in words if word.spoken is None} <= set(heard.words)
    assert letters("".join(word.word for word in words)) == letters(segment.text)
    places = word_places(segment.text, [word.word for word in words])
    assert all(segment.text[a:b] == w.word for (a, b), w in zip(places, words, strict=True))
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert (words[0].start, words[-1].end) == (heard.words[0].start, heard.words[-1].end)
    assert letters(spoken_words(words)) == letters(text)
    assert segment.spoken == (text if segment.text != text else None)
    assert all(word.word.strip() for word in words)


@given(texts, st.sampled_from((RULES, IN_WORDS)))
def test_a_text_without_words_is_written_like_one_with_words(
    text: str, rules: WritingRules
) -> None:
    with_words = a_segment(text)
    without = replace(with_words, words=())
    (first,), (second,) = (Writer(rules).segments([it], "en") for it in (with_words, without))
    assert (first.text, first.spoken) == (second.text, second.spoken)


@given(texts)
def test_without_rules_nothing_is_changed(text: str) -> None:
    heard = a_segment(text)
    assert Writer(WritingRules()).segments([heard], "en") == [heard]


def test_several_words_become_one_with_their_times() -> None:
    segment = written("we use pie torch, here", replacements=NAMES)
    assert segment.text == "we use PyTorch, here"
    word = segment.words[2]
    assert (word.word, word.spoken, word.start, word.end) == ("PyTorch,", "pie torch,", 1.0, 2.0)


def test_one_word_becomes_several_that_share_its_time_by_their_letters() -> None:
    segment = written("on k8s now", replacements=(("k8s", "the cluster"),))
    first, second = segment.words[1:3]
    assert (first.word, first.spoken, second.word, second.spoken) == ("the", "k8s", "cluster", "")
    assert (first.start, first.end, second.start, second.end) == (0.5, 0.65, 0.65, 1.0)
    assert first.interpolated and second.interpolated


def test_as_many_words_keep_each_its_own_time() -> None:
    segment = written("pie torch", replacements=(("pie torch", "Pi Torch"),))
    assert [(word.word, word.spoken, word.start) for word in segment.words] == [
        ("Pi", "pie", 0.0),
        ("Torch", "torch", 0.5),
    ]


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("Pie-Torch's docs", "PyTorch's docs"),
        ("“PIE TORCH”!", "“PyTorch”!"),
        ("a pie, torch", "a pie, torch"),  # a mark stands between
        ("pietorch", "pietorch"),  # no whole words
        ("Kubernetties-based", "Kubernetes-based"),
        ("kubernetties’s", "Kubernetes’s"),
    ],
)
def test_a_phrase_is_whole_words_in_any_case(heard: str, expected: str) -> None:
    assert written(heard, replacements=NAMES).text == expected


def test_the_longest_phrase_wins_and_nothing_is_replaced_twice() -> None:
    rules = (("new york", "NYC"), ("new york times", "NYT"), ("nyc", "wrong"))
    assert written("the New York Times of New York", replacements=rules).text == "the NYT of NYC"


def test_endings_behind_an_apostrophe_are_no_words() -> None:
    assert written("they're", replacements=(("re", "regarding"),)).text == "they're"


def test_phrases_are_found_where_no_spaces_stand_between_words() -> None:
    segment = written("これは人工知能です", "ja", replacements=(("人工知能", "AI"),))
    assert segment.text == "これはAIです"
    (word,) = [word for word in segment.words if word.spoken]
    assert (word.word, word.spoken, word.start, word.end) == ("AI", "人工知能", 1.5, 3.5)


def test_a_phrase_of_two_speakers_is_none() -> None:
    heard = a_segment("pie torch")
    heard = replace(heard, words=(heard.words[0], replace(heard.words[1], speaker="SPEAKER_01")))
    (segment,) = Writer(WritingRules(replacements=NAMES)).segments([heard], "en")
    assert segment == heard


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("first_letter", "What the F***, d*****! It is a h***-h*** g******."),
        ("all", "What the ****, ******! It is a ****-**** *******."),
    ],
)
def test_masked_words_are_covered_with_their_marks_around_them(style: str, expected: str) -> None:
    masked = ("FUCK", "damn*", "hell", "god-damn")
    segment = written(
        "What the Fuck, damned! It is a hell-hell goddamn.",
        masked=(*masked, "goddamn"),
        mask_style=style,
    )
    assert segment.text == expected
    assert len(segment.words) == 9


def test_a_masked_phrase_is_covered_word_by_word() -> None:
    assert written("Holy Smoke, he said", masked=("holy smoke",)).text == "H*** S****, he said"
    assert written("操你妈", "zh", masked=("操你妈",)).text == "操**"


def test_masks_cover_other_texts_of_the_sound_and_messages_too() -> None:
    heard = replace(
        a_segment("Damn it"),
        flags=(Flag("doubtful_word", 0.5, "More likely wrong than right: Damn."),),
        alternatives=(Alternative("damn hit", "beam", -0.3),),
    )
    (segment,) = Writer(WritingRules(masked=("damn",), keeps_spoken=False)).segments([heard], "en")
    assert "amn" not in str(segment_to_json(segment))
    assert segment.alternatives[0].text == "d*** hit"


def test_what_was_heard_can_be_left_out() -> None:
    segment = written("on k8s", replacements=(("k8s", "the cluster"),), keeps_spoken=False)
    assert segment.text == "on the cluster"
    assert segment.spoken is None and {word.spoken for word in segment.words} == {None}


def test_a_replaced_name_is_not_read_as_a_number() -> None:
    segment = written(
        "seven eleven eleven", replacements=(("seven eleven", "7-Eleven"),), numbers="digits"
    )
    assert segment.text == "7-Eleven 11"


def test_both_forms_are_in_the_json_and_come_back_from_it() -> None:
    segment = written("we use pie torch", replacements=NAMES)
    data = segment_to_json(segment)
    assert (data["spoken"], data["words"][2]["spoken"]) == ("we use pie torch", "pie torch")
    assert "spoken" not in data["words"][0]
    assert segments_from_json([data]) == (segment,)


def test_a_transcript_has_the_written_text_everywhere() -> None:
    heard = Transcript("en", 2.0, (a_segment("use pie torch"),))
    data = transcript_to_json(Writer(WritingRules(replacements=NAMES)).transcript(heard))
    assert data["text"] == "use PyTorch"
    assert [word["word"] for word in data["word_segments"]] == ["use", "PyTorch"]


@pytest.mark.parametrize(
    ("form", "language", "codes"),
    [
        ("as_heard", "ja", []),
        ("digits", "en", []),
        ("digits", "ja", [NUMBERS_IN_WORDS]),
        ("words", "en", []),
        ("words", "ja", [NUMBERS_IN_DIGITS]),
    ],
)
def test_a_language_whose_numbers_are_not_known_is_told(
    form: NumberForm, language: str, codes: list[str]
) -> None:
    heard = Transcript(language, 2.0, (a_segment("one two 3"),))
    transcript = Writer(WritingRules(numbers=form)).transcript(heard)
    assert [warning.code for warning in transcript.warnings] == codes
    assert (transcript.text == "one two 3") == (language == "ja" or form != "words")


def test_a_translation_is_written_in_its_own_language_and_not_in_the_one_that_is_spoken() -> None:
    heard = Transcript("ja", 2.0, (replace(a_segment("twenty people"), language="ja"),))
    transcript = Writer(WritingRules(numbers="digits"), "en").transcript(heard)
    assert (transcript.text, transcript.warnings) == ("20 people", ())


def test_each_segment_is_written_in_its_own_language() -> None:
    segments = (a_segment("zwanzig"), replace(a_segment("twenty"), language="en"))
    found = Writer(WritingRules(numbers="digits")).segments(segments, "de")
    assert [segment.text for segment in found] == ["20", "20"]


def test_a_text_that_was_left_out_is_covered_in_its_warning_too() -> None:
    told = "Between 1.0 and 2.0 s no voice was heard; this text was left out: 'Damn it' (why)."
    warnings = (TranscriptWarning("invented_text", told, 1.0, 2.0),)
    heard = Transcript("en", 9.0, (a_segment("all is well"),), warnings)
    (warning,) = Writer(WritingRules(masked=("damn",))).transcript(heard).warnings
    assert warning == replace(warnings[0], message=told.replace("Damn", "D***"))


def test_another_text_that_is_written_the_same_is_none() -> None:
    others = (Alternative("25 miles", "beam", -0.2), Alternative("twenty nine miles", "split", -1))
    heard = replace(a_segment("twenty five miles"), alternatives=others)
    (segment,) = Writer(WritingRules(numbers="digits")).segments([heard], "en")
    assert segment.text == "25 miles"
    assert [other.text for other in segment.alternatives] == ["29 miles"]
