from __future__ import annotations

import io
import json
import math
import re
from html import unescape

import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.assembly.formats import FORMATS, SubtitleOptions, render, render_file
from gpu_worker.assembly.shown_words import clean, visible_characters
from gpu_worker.assembly.subtitles import cues
from gpu_worker.errors import InvalidOption
from gpu_worker.transcript import Segment, Transcript, Turn, transcript_from_json
from tests.inputs.transcripts import (
    FORGED,
    seconds,
    spoken,
    transcript,
    transcripts,
    wild_seconds,
)
from tests.inputs.writings import WRITINGS, unworded, written
from tests.unit.gpu_worker.assembly.srt_reader import ffmpeg_shows

TALK = transcript(
    spoken(("Hello", 0.0), ("there.", 0.5), speaker="SPEAKER_00"),
    spoken(("AT&T", 3661.25), ("<here>", 3662.0), speaker="SPEAKER_01"),
)


def lines_said(said: Transcript) -> list[str]:
    return [text for segment in said.segments if (text := clean(segment.text))]


def test_srt_has_numbers_decimal_commas_and_speakers() -> None:
    assert render(TALK, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\n[SPEAKER_00]: Hello there.\n\n"
        "2\n01:01:01,250 --> 01:01:02,500\n[SPEAKER_01]: AT&T <\u2060here>\n\n"
    )


def test_vtt_has_a_header_voices_and_escaped_text() -> None:
    assert render(TALK, "vtt") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.000\n<v SPEAKER_00>Hello there.\n\n"
        "01:01:01.250 --> 01:01:02.500\n<v SPEAKER_01>AT&amp;T &lt;here&gt;\n\n"
    )


def test_txt_has_a_line_for_each_segment() -> None:
    assert render(TALK, "txt") == "[SPEAKER_00]: Hello there.\n[SPEAKER_01]: AT&T <here>\n"


def test_tsv_has_whole_milliseconds() -> None:
    assert render(TALK, "tsv") == (
        "start\tend\ttext\n0\t1000\tHello there.\n3661250\t3662500\tAT&T <here>\n"
    )


def test_rttm_has_a_line_of_ten_fields_for_each_turn() -> None:
    turns = (Turn(0.25, 1.5, "SPEAKER_00"), Turn(1.0, 3661.5, "Anna Maria\u2028Smith"))
    said = Transcript("en", 4000.0, TALK.segments, turns=turns)
    assert render(said, "rttm", file_id="my talk") == (
        "SPEAKER my_talk 1 0.250 1.250 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
        "SPEAKER my_talk 1 1.000 3660.500 <NA> <NA> Anna_Maria_Smith <NA> <NA>\n"
    )


def test_rttm_without_turns_goes_by_the_segments_that_have_a_speaker() -> None:
    nobody = Segment(4000.0, 4001.0, "who?")
    said = Transcript("en", 4001.0, (*TALK.segments, nobody))
    assert render(said, "rttm") == (
        "SPEAKER audio 1 0.000 1.000 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
        "SPEAKER audio 1 3661.250 1.250 <NA> <NA> SPEAKER_01 <NA> <NA>\n"
    )


@pytest.mark.parametrize("name", ["", " ", "a\nSPEAKER b", "\ud800", "x\x1cy\x85z"])
def test_a_forged_name_stays_one_field_of_one_line_of_rttm(name: str) -> None:
    turns = (Turn(0.0, 1.0, name), Turn(1.0, 1.0, "nothing"), Turn(0.0, math.inf, "never"))
    written = render(Transcript("en", 1.0, turns=turns), "rttm", file_id=name)
    assert [len(line.split()) for line in written.splitlines()] == [10]
    written.encode("utf-8")


def test_json_is_whisperx_shape_in_readable_characters() -> None:
    said = transcript(spoken(("naïve", 0.0)))
    assert "naïve" in render(said, "json")
    assert transcript_from_json(json.loads(render(said, "json"))) == said


@pytest.mark.parametrize(
    ("format", "expected"),
    [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n\n"), ("tsv", "start\tend\ttext\n"), ("rttm", "")],
)
def test_a_silent_file_is_still_a_valid_file(format: str, expected: str) -> None:
    assert render(Transcript(None, 10.0), format) == expected


def test_an_unknown_format_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(InvalidOption, match="'doc'") as refused:
        render(TALK, "doc")
    assert refused.value.advice == f"Use one of: {', '.join(FORMATS)}."


def test_a_format_that_is_not_text_is_rendered_as_bytes_alone() -> None:
    with pytest.raises(InvalidOption, match="docx is not text"):
        render(TALK, "docx")
    assert render_file(TALK, "docx").startswith(b"PK")
    for name in FORMATS:
        if FORMATS[name].is_text:
            assert render_file(TALK, name).decode("utf-8") == render(TALK, name)
    assert [name for name in FORMATS if not FORMATS[name].is_text] == ["docx"]


def test_audacity_has_a_label_for_each_segment() -> None:
    assert render(TALK, "audacity") == (
        "0.000\t1.000\t[SPEAKER_00]: Hello there.\n3661.250\t3662.500\t[SPEAKER_01]: AT&T <here>\n"
    )


def test_every_format_names_its_media_type_and_extension() -> None:
    assert {name: (f.extension, f.media_type.split(";")[0]) for name, f in FORMATS.items()} == {
        "json": (".json", "application/json"),
        "txt": (".txt", "text/plain"),
        "srt": (".srt", "application/x-subrip"),
        "vtt": (".vtt", "text/vtt"),
        "tsv": (".tsv", "text/tab-separated-values"),
        "rttm": (".rttm", "text/plain"),
        "docx": (
            ".docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        "textgrid": (".TextGrid", "text/plain"),
        "eaf": (".eaf", "application/xml"),
        "audacity": (".labels.txt", "text/plain"),
    }


def test_the_spoken_word_is_underlined_and_the_rest_still_escaped() -> None:
    said = transcript(spoken(("a<b", 0.0), ("c&d", 0.5)))
    shown = SubtitleOptions(highlight_words=True)
    captions = render(said, "vtt", shown).split("\n\n")
    assert captions[1].endswith("<u>a&lt;b</u> c&amp;d")
    assert captions[2].endswith("a&lt;b <u>c&amp;d</u>")
    assert "\n<u>a<\u2060b</u> c&d\n" in render(said, "srt", shown)


@pytest.mark.parametrize("name", WRITINGS)
def test_every_format_holds_the_text_as_it_was_written(name: str) -> None:
    for said in (written(name), unworded(written(name))):
        lines = [segment.text for segment in said.segments]
        assert render(said, "txt").splitlines() == lines
        assert [row.split("\t")[2] for row in render(said, "tsv").splitlines()[1:]] == lines
        assert ffmpeg_shows(render(said, "srt")) == lines
        captions = webvtt.from_string(render(said, "vtt")).captions
        assert [unescape(caption.text) for caption in captions] == lines
        data = json.loads(render(said, "json"))
        assert data["text"] == said.text
        assert [segment["text"] for segment in data["segments"]] == lines
        assert [it["word"] for it in data["word_segments"]] == [it.word for it in said.words]


@pytest.mark.parametrize("name", WRITINGS)
def test_a_speaker_s_name_counts_towards_the_width_where_it_is_shown(name: str) -> None:
    said, options = written(name, "SPEAKER_00"), SubtitleOptions(24, 2)
    srt = [line for text in ffmpeg_shows(render(said, "srt", options)) for line in text.split("\n")]
    assert any(line.startswith("[SPEAKER_00]: ") for line in srt)
    assert max(map(visible_characters, srt)) <= 24
    captions = webvtt.from_string(render(said, "vtt", options)).captions
    plain = list(cues(said, options))
    assert [unescape(caption.text) for caption in captions] == [cue.text for cue in plain]


def test_hours_may_exceed_ninety_nine() -> None:
    said = transcript(Segment(360_000.0, 360_001.5, "late"))
    assert "100:00:00,000 --> 100:00:01,500" in render(said, "srt")
    (caption,) = webvtt.from_string(render(said, "vtt")).captions
    assert caption.start_in_seconds == 360_000


@pytest.mark.parametrize("format", ["srt", "vtt", "txt", "tsv"])
def test_a_forged_cue_stays_inside_its_own(format: str) -> None:
    rendered = render(transcript(Segment(0.0, 1.0, FORGED)), format)
    assert sum(line.strip() == "forged" for line in rendered.splitlines()) == 0
    assert rendered.count("-->") == (1 if format in ("srt", "vtt") else 0)


@settings(deadline=None)
@given(transcripts(wild_seconds), st.integers(1, 9), st.none() | st.integers(1, 3), st.booleans())
def test_however_cues_are_cut_only_time_lines_hold_an_arrow(
    said: Transcript, width: int, count: int | None, highlight: bool
) -> None:
    options = SubtitleOptions(width, count, highlight_words=highlight)
    for format, lead in (("srt", "[0-9]+\n"), ("vtt", "")):
        *blocks, end = render(said, format, options).removeprefix("WEBVTT\n\n").split("\n\n")
        assert end == ""
        assert all(re.match(f"{lead}[0-9:.,]+ --> [0-9:.,]+\n.", block) for block in blocks)
        assert all(block.count("-->") == 1 for block in blocks)


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_an_independent_reader_finds_the_same_cues_in_vtt(said: Transcript) -> None:
    captions = webvtt.from_string(render(said, "vtt")).captions
    assert [unescape(caption.text).strip() for caption in captions] == lines_said(said)


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_an_independent_reader_finds_as_many_cues_in_srt(said: Transcript) -> None:
    rendered = render(said, "srt")
    # The reader takes an empty file for no file, though it is what openai/whisper writes.
    captions = webvtt.from_buffer(io.StringIO(rendered), format="srt").captions if rendered else []
    assert len(captions) == len(lines_said(said))
    assert all(c.start_in_seconds <= c.end_in_seconds for c in captions)


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_text_formats_have_one_line_for_each_segment_with_text(said: Transcript) -> None:
    expected = lines_said(said)
    assert len(render(said, "txt").splitlines()) == len(expected)
    rows = [row.split("\t") for row in render(said, "tsv").splitlines()[1:]]
    assert [text for _, _, text in rows] == expected
    assert all(0 <= int(start) < int(end) for start, end, _ in rows)


@settings(deadline=None)
@given(transcripts(seconds))
def test_json_reads_back_what_can_be_said_in_utf_8(said: Transcript) -> None:
    carried = transcript_from_json(json.loads(render(said, "json")))
    assert [s.start for s in carried.segments] == [s.start for s in said.segments]
    assert [s.text for s in carried.segments] == [
        s.text.encode("utf-8", "replace").decode() for s in said.segments
    ]


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_every_format_is_valid_utf_8_and_json_holds_no_nan(said: Transcript) -> None:
    for name, form in FORMATS.items():
        if form.is_text:
            render(said, name, SubtitleOptions(highlight_words=True)).encode("utf-8")
    json.loads(render(said, "json"), parse_constant=pytest.fail)
