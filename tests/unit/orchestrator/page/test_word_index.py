"""The page cuts, joins and searches text as the workers do: its functions are run and compared."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from gpu_worker.transcript import Segment, Transcript, Word, segment_to_json
from gpu_worker.words import space_between, split_words, word_places
from tests.inputs.sentences import SENTENCES
from tests.inputs.writings import WRITINGS, unworded, written
from tests.unit.orchestrator.page.page_script import evaluate

# A transcript as `orchestrator/page/job/transcript.js` takes it in, without drawing it.
TAKEN_IN = """((segments) => {
    const words = new Words();
    let last = "";
    for (const segment of segments) {
        words.write(spaceBetween(last, segment.text));
        for (const run of pieces(segment)) {
            if (run.start === undefined) words.write(run.text);
            else words.add(run.text, run.start);
        }
        last = segment.text;
    }
    return words;
})"""
# Whose text is searched for what, and the words of each match.
SEARCHES: tuple[tuple[str, str, list[list[str]]], ...] = (
    ("numbers", "$3.5", [["$3.5"]]),
    ("numbers", "at&t: 100%", [["AT&T:", "100%"]]),
    ("numbers", "up-to-date. dans", [["up-to-date.", "Dans"]]),
    ("numbers", "E-MAIL", [["l'e-mail"]]),
    ("numbers", "  « oui ", [["« Oui ! »"]]),
    ("chinese", "记录", [["记", "录。"]]),
    ("chinese", "录。「好", [["录。", "「好」，"]]),
    ("chinese", "用 iphone 拍", [["用", "iPhone", "拍"]]),
    ("chinese", "记 录", []),
    ("japanese", "記録", [["記", "録"]]),
    ("japanese", "ｺｰﾋｰ", [["コー", "ヒー"]]),
    ("thai", "น้ำนี่", [["น้ำ", "นี่"]]),
    ("thai", "นี่", [["นี่"], ["นี่"]]),
    ("hindi", "हिन्दी में", [["हिन्दी", "में"]]),
    ("arabic", "كيف حالك", [["كيف", "حالك؟"]]),
    ("emoji", "👨‍👩‍👧 waves", [["👨‍👩‍👧", "waves"]]),
    ("emoji", "👩", [["👨‍👩‍👧"]]),
    ("mixed", "今天", [["«今", "天»"]]),
    ("mixed", "", []),
    ("mixed", "not there", []),
)
# Not the newest characters: the two engines know them from different years on.
PARTS = (
    *"aZ5.,!?-'\"«»()…। 今記ぁンㄅกำโິអမ。、「」（）！ー・é한",
    *("ที่", "हूँ", "مَ", "👨‍👩‍👧", "🇩🇪", "か\u3099", "😀"),
)


def segments(said: Transcript) -> list[dict[str, Any]]:
    return [segment_to_json(segment) for segment in said.segments]


def every_segment() -> list[dict[str, Any]]:
    """Those of all writings, and a segment for each of the sentences."""
    found = [segment for name in WRITINGS for segment in segments(written(name))]
    for _, text in SENTENCES:
        words = tuple(Word(text[slice(*it)], it[0], it[1], 0.9) for it in split_words(text))
        found.append(segment_to_json(Segment(0.0, 1.0, text, words)))
    return found


def test_a_space_stands_between_two_texts_where_the_workers_put_one() -> None:
    dice = random.Random(7)
    texts = ["", *PARTS]
    texts += ["".join(dice.choices(PARTS, k=dice.randint(2, 12))).strip() for _ in range(150)]
    pairs = list(product(texts, repeat=2))
    told = evaluate(
        "job/word_index.js", "data.map(([before, after]) => spaceBetween(before, after))", pairs
    )
    wrong = [
        (pair, space)
        for pair, space in zip(pairs, told, strict=True)
        if space_between(*pair) != space
    ]
    assert wrong == []


def test_words_stand_in_their_text_where_the_workers_find_them() -> None:
    data = []
    for segment in every_segment():
        words = [word["word"] for word in segment["words"]]
        data += [(segment["text"], words), (segment["text"], [*words[:1], "not in it", *words[1:]])]
    told = evaluate(
        "job/word_index.js",
        "data.map(([text, words]) => places(text, words).map((it) => text.slice(...it)))",
        data,
    )
    for (text, words), parts in zip(data, told, strict=True):
        assert parts == [text[slice(*place)] for place in word_places(text, words)]


def test_the_pieces_of_a_segment_are_its_words_and_all_of_its_text() -> None:
    data = every_segment()
    for segment, shown in zip(
        data, evaluate("job/word_index.js", "data.map(pieces)", data), strict=True
    ):
        assert "".join(piece["text"] for piece in shown) == segment["text"]
        assert [piece for piece in shown if "start" in piece] == [
            {"text": word["word"], "start": word["start"], "end": word["end"]}
            for word in segment["words"]
        ]


def test_a_segment_without_words_is_one_piece() -> None:
    data = [segment for name in WRITINGS for segment in segments(unworded(written(name)))]
    told = evaluate("job/word_index.js", "data.map(pieces)", data)
    assert told == [[{key: it[key] for key in ("text", "start", "end")}] for it in data]


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("It cost $3 .5", ["It", "cost", "$3", ".5"], ["It", " ", "cost", " ", "$3", " ", ".5"]),
        ("« yes – no »", ["yes", "no"], ["« ", "yes", " – ", "no", " »"]),
        ("one two three", ["one", "zwei", "three"], ["one", " two ", "three"]),
        ("one two", ["eins"], ["one two"]),
        (" one ", [], ["one"]),
        ("  ", ["one"], []),
    ],
)
def test_no_piece_is_lost_where_the_words_are_not_all_of_the_text(
    text: str, words: list[str], shown: list[str]
) -> None:
    timed = [{"word": word, "start": 0, "end": 1} for word in words]
    data = {"text": text, "start": 0, "end": 1, "words": timed}
    assert evaluate("job/word_index.js", "pieces(data).map((it) => it.text)", data) == shown


def test_every_two_words_of_a_sentence_are_found() -> None:
    data = every_segment()
    pairs = """data.map((segment) => {
        const words = %s([segment]);
        const at = places(segment.text, segment.words.map(({ word }) => word));
        return at.slice(1).map(([, end], index) =>
            words.find(segment.text.slice(at[index][0], end)).map(([first, last]) => last - first));
    })"""
    for segment, spans in zip(
        data, evaluate("job/word_index.js", pairs % TAKEN_IN, data), strict=True
    ):
        assert all(1 in span for span in spans), segment["text"]


def test_what_is_searched_is_the_text() -> None:
    data = [[segments(written(name)), written(name).text] for name in WRITINGS]
    same = f"data.map(([segments, text]) => {TAKEN_IN}(segments).text === folded(text))"
    assert evaluate("job/word_index.js", same, data) == [True] * len(data)


@pytest.fixture(scope="module")
def matches() -> list[Any]:
    """Of each of the searches."""
    data = [[segments(written(name)), wanted] for name, wanted, _ in SEARCHES]
    find = f"data.map(([segments, wanted]) => {TAKEN_IN}(segments).find(wanted))"
    return list(evaluate("job/word_index.js", find, data))


@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_a_phrase_is_found_across_words_and_clusters(matches: list[Any], number: int) -> None:
    name, wanted, expected = SEARCHES[number]
    words = [word.word for word in written(name).words]
    assert [words[first : last + 1] for first, last in matches[number]] == expected, wanted


def test_each_of_many_matches_is_found_once() -> None:
    words: list[dict[str, Any]] = [{"word": "aa", "start": i, "end": i + 1} for i in range(1000)]
    data = [{"text": " ".join(it["word"] for it in words), "words": words}]
    matches = evaluate("job/word_index.js", f'{TAKEN_IN}(data).find("a")', data)
    assert matches == [[number, number] for number in range(1000) for _ in range(2)]


def test_letters_that_grow_in_lower_case_move_no_match() -> None:
    words = [{"word": word, "start": 0, "end": 1} for word in ("İİİİ", "½", "here")]
    data = [{"text": "İİİİ ½ here", "words": words}]
    assert evaluate("job/word_index.js", f'{TAKEN_IN}(data).find("here")', data) == [[2, 2]]


@pytest.mark.parametrize(
    ("number", "by", "reached"),
    [(-1, 1, 0), (-1, -1, 0), (0, -1, 0), (3, -1, 0), (3, 1, 4), (4, -1, 3), (4, 1, 4)],
)
def test_a_step_leads_past_words_that_start_at_the_same_time(
    number: int, by: int, reached: int
) -> None:
    data = {"starts": [0.1, 0.5, 0.5, 0.5, 0.9], "number": number, "by": by}
    assert (
        evaluate("job/word_index.js", "nextStart(data.starts, data.number, data.by)", data)
        == reached
    )
