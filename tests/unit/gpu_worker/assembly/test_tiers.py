"""TextGrid, ELAN and Word files, opened by programs that are not ours."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pympi
import pytest
from docx import Document
from hypothesis import given, settings
from praatio import textgrid as praat

from gpu_worker.assembly.formats import render, render_file
from gpu_worker.assembly.shown_words import clean
from gpu_worker.assembly.tiers import xml_text
from gpu_worker.transcript import Segment, Transcript, Turn
from tests.inputs.transcripts import spoken, transcript, transcripts, wild_seconds
from tests.inputs.writings import WRITINGS, written

TALK = Transcript(
    "en",
    20.0,
    (
        spoken(("Hello", 1.0), ('"there".', 1.5), speaker="SPEAKER_00"),
        spoken(("Me", 1.8), ("too <b>&", 2.5), speaker="SPEAKER_01"),
    ),
    turns=(Turn(0.9, 2.1, "SPEAKER_00"), Turn(1.7, 3.1, "SPEAKER_01")),
)


def opened_textgrid(text: str) -> Any:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "talk.TextGrid"
        path.write_bytes(text.encode("utf-8"))
        return praat.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="error")


def opened_eaf(text: str) -> Any:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "talk.eaf"
        path.write_bytes(text.encode("utf-8"))
        return pympi.Elan.Eaf(str(path))


def test_a_textgrid_has_tiers_of_segments_words_and_each_speaker() -> None:
    grid = opened_textgrid(render(TALK, "textgrid"))
    assert grid.tierNames == ("segments", "words", "SPEAKER_00", "SPEAKER_01")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 20)
    assert [tuple(entry) for entry in grid.getTier("segments").entries] == [
        (1.0, 1.8, 'Hello "there".'),
        (1.8, 3.0, "Me too <b>&"),
    ]
    assert [tuple(entry) for entry in grid.getTier("words").entries] == [
        (1.0, 1.5, "Hello"),
        (1.5, 1.8, '"there".'),
        (1.8, 2.3, "Me"),
        (2.5, 3.0, "too <b>&"),
    ]
    assert [tuple(entry) for entry in grid.getTier("SPEAKER_01").entries] == [
        (1.7, 3.1, "SPEAKER_01")
    ]


def test_elan_has_a_tier_of_segments_and_one_of_words_for_each_speaker() -> None:
    eaf = opened_eaf(render(TALK, "eaf"))
    assert list(eaf.get_tier_names()) == [
        "SPEAKER_00",
        "SPEAKER_00 words",
        "SPEAKER_01",
        "SPEAKER_01 words",
    ]
    assert eaf.get_annotation_data_for_tier("SPEAKER_00") == [(1000, 2000, 'Hello "there".')]
    assert eaf.get_annotation_data_for_tier("SPEAKER_01 words") == [
        (1800, 2300, "Me"),
        (2500, 3000, "too <b>&"),
    ]
    assert eaf.get_parameters_for_tier("SPEAKER_01")["PARTICIPANT"] == "SPEAKER_01"


def test_a_word_document_has_a_title_and_a_paragraph_for_each_speaker_s_turn() -> None:
    more = spoken(("Again.", 3.0), speaker="SPEAKER_01")
    said = Transcript("en", 20.0, (*TALK.segments, more))
    document = Document(BytesIO(render_file(said, "docx", file_id="My talk")))
    assert document.core_properties.title == "My talk"
    assert [paragraph.text for paragraph in document.paragraphs] == [
        "My talk",
        '00:00:01  SPEAKER_00\nHello "there".',
        "00:00:01  SPEAKER_01\nMe too <b>& Again.",
    ]


def languages(said: Transcript) -> tuple[str | None, list[tuple[str, str | None]]]:
    """The language of a transcript's document, and its texts, each with its own if it has one."""
    document = Document(BytesIO(render_file(said, "docx")))
    tag = "w:rPr/w:lang/@w:val"
    (own,) = document.styles.element.xpath(f"w:docDefaults/w:rPrDefault/{tag}") or [None]
    runs = [run for paragraph in document.paragraphs[1:] for run in paragraph.runs[1:]]
    return own, [(run.text, next(iter(run._element.xpath(tag)), None)) for run in runs]


def test_a_word_document_has_the_languages_of_its_text() -> None:
    lines = (
        spoken(("Guten", 0.0), ("Tag.", 0.5)),
        replace(spoken(("Hello.", 1.2)), language="en"),
        replace(spoken(("你好。", 2.0)), language="zh"),
    )
    assert languages(Transcript("de", 9.0, lines)) == (
        "de",
        [("Guten Tag.", None), (" Hello.", "en"), (" 你好。", "zh")],
    )
    assert languages(Transcript("jw", 9.0, ()))[0] == "jv"
    assert languages(Transcript(None, 9.0, ()))[0] is None


def test_a_long_monologue_has_paragraphs_that_end_with_sentences() -> None:
    sentence = ("They", "went", "home.")
    said = transcript(
        *(
            spoken(*((word, 2 * n + i / 2) for i, word in enumerate(sentence)), speaker="A")
            for n in range(200)
        ),
        spoken(("Later.", 500.0), speaker="A"),
    )
    texts = [it.text for it in Document(BytesIO(render_file(said, "docx"))).paragraphs[1:]]
    assert len(texts) > 4
    assert texts[-1].endswith("\nLater.")
    assert all(text.endswith(".") and len(text) < 700 for text in texts)


@settings(deadline=None, max_examples=25)
@given(transcripts(wild_seconds))
def test_any_transcript_can_be_opened_and_has_all_its_text(said: Transcript) -> None:
    texts = [text for segment in said.segments if (text := clean(segment.text))]
    grid = opened_textgrid(render(said, "textgrid"))
    shown = grid.getTier("segments").entries if texts else ()
    assert [clean(entry.label) for entry in shown] == [clean(text.strip()) for text in texts]
    eaf = opened_eaf(render(said, "eaf"))
    tiers = [name for name in eaf.get_tier_names() if "words" not in name]
    found = [value for name in tiers for _, _, value in eaf.get_annotation_data_for_tier(name)]
    assert sorted(value or "" for value in found) == sorted(xml_text(text) for text in texts)
    Document(BytesIO(render_file(said, "docx", file_id="\x00\ufffe" + "x" * 300)))


@settings(deadline=None, max_examples=25)
@given(transcripts(wild_seconds))
def test_within_a_tier_nothing_overlaps(said: Transcript) -> None:
    eaf = opened_eaf(render(said, "eaf"))
    for name in eaf.get_tier_names():
        free = 0
        for start, end, _ in eaf.get_annotation_data_for_tier(name):
            assert free <= start < end
            free = end


@pytest.mark.parametrize("name", WRITINGS)
def test_every_script_is_read_back_as_it_was_written(name: str) -> None:
    said = written(name, "SPEAKER_00")
    lines = [segment.text for segment in said.segments]
    grid = opened_textgrid(render(said, "textgrid"))
    assert [entry.label for entry in grid.getTier("segments").entries] == lines
    eaf = opened_eaf(render(said, "eaf"))
    found = eaf.get_annotation_data_for_tier("SPEAKER_00")
    assert [value for _, _, value in found] == lines
    document = Document(BytesIO(render_file(said, "docx")))
    text = " ".join(it.text.partition("\n")[2] for it in document.paragraphs[1:])
    assert "".join(text.split()) == "".join(said.text.split())


def test_a_speaker_called_words_keeps_a_tier_of_its_own() -> None:
    said = transcript(spoken(("a", 0.0), speaker="words"))
    assert opened_textgrid(render(said, "textgrid")).tierNames == ("segments", "words", "words (2)")
    assert len(opened_eaf(render(said, "eaf")).get_tier_names()) == 2


@pytest.mark.parametrize("format", ["textgrid", "eaf", "docx", "audacity"])
def test_a_silent_file_can_be_opened(format: str) -> None:
    silent = Transcript(None, 10.0)
    assert render_file(silent, format) or format == "audacity"
    if format == "eaf":
        assert list(opened_eaf(render(silent, format)).get_tier_names()) == []


def test_a_segment_without_text_is_left_out() -> None:
    said = transcript(Segment(0.0, 1.0, " "), spoken(("a", 2.0)))
    grid = opened_textgrid(render(said, "textgrid"))
    assert [entry.label for entry in grid.getTier("segments").entries] == ["a"]
