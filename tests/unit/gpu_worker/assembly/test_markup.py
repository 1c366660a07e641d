"""No word of a transcript acts as markup in srt or vtt, and none is lost for looking like it."""

from __future__ import annotations

import re
from html import unescape

import pytest
import webvtt
from hypothesis import given, settings

from gpu_worker.assembly.formats import SubtitleOptions, render
from gpu_worker.assembly.shown_words import clean
from gpu_worker.assembly.subtitle_text import WORD_JOINER
from gpu_worker.assembly.subtitles import cues
from gpu_worker.transcript import Segment, Transcript
from tests.inputs.transcripts import spoken, transcript, transcripts, wild_seconds
from tests.unit.gpu_worker.assembly.srt_reader import ffmpeg_shows

MARKUP = (
    "<b>bold</b>",
    "a <i> b",
    "a < b > c",
    '<font color="red" size=99>x</font>',
    "a <unknown tag> b",
    "a <<b>> c",
    "I <3 you and > me",
    "{\\an8}top",
    "{\\i1}it{\\i0}",
    "{ \\an8 }",
    "{y:i}it",
    "{C:$0000FF}red",
    "x {\\pos(1,2)} <br> <s>y",
    "C:\\New\\home",
    "a<b {\\b1}c</b> d>",
)
PLAIN = ("a < 5", "a > b", "<3", "x <= y => z", "{a}", "{", "}", "a: {bc: d}", "C:\\Users", "AT&T")


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize("highlight", [False, True])
def test_markup_in_the_text_is_shown_by_ffmpeg_and_styles_nothing(
    text: str, highlight: bool
) -> None:
    said = transcript(Segment(0.0, 9.0, text, speaker="Eve <b>{\\an8}"))
    srt = render(said, "srt", SubtitleOptions(highlight_words=highlight))
    shown = ffmpeg_shows(srt)
    assert shown
    for line in shown:
        plain = line.replace("{\\u1}", "").replace("{\\u0}", "")
        assert (plain != line) == highlight  # the word that is spoken is still underlined
        # What libass would obey: a backslash in braces.
        assert not any("\\" in block.replace(f"\\{WORD_JOINER}", "") for block in braces(plain))
        assert plain.replace(WORD_JOINER, "") == f"[Eve <b>{{\\an8}}]: {text}"


def braces(text: str) -> list[str]:
    return re.findall(r"{[^}]*}", text)


@pytest.mark.parametrize("text", MARKUP)
def test_the_same_markup_would_act_if_it_were_written_as_it_is(text: str) -> None:
    (shown,) = ffmpeg_shows(f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n") or [""]
    obeyed_by_libass = any("\\" in block for block in braces(shown))
    assert shown != text or obeyed_by_libass


@pytest.mark.parametrize("text", PLAIN)
def test_what_no_player_takes_for_markup_stays_as_it_is_in_srt(text: str) -> None:
    assert f"\n{text}\n" in render(transcript(Segment(0.0, 1.0, text)), "srt")


@settings(deadline=None)
@given(transcripts(wild_seconds))
def test_word_joiners_are_all_that_srt_adds_to_a_text(said: Transcript) -> None:
    blocks = render(said, "srt").split("\n\n")[:-1]
    for block, cue in zip(blocks, cues(said), strict=True):
        prefix = f"[{cue.speaker}]: " if cue.speaker else ""
        shown = block.split("\n", 2)[2]
        assert shown.replace(WORD_JOINER, "") == (prefix + cue.text).replace(WORD_JOINER, "")


@pytest.mark.parametrize("text", [*MARKUP, "&lt;b&gt;", "NOTE x", "STYLE", "REGION", "a --> b"])
@pytest.mark.parametrize("highlight", [False, True])
def test_markup_in_the_text_is_shown_in_vtt(text: str, highlight: bool) -> None:
    said = transcript(Segment(0.0, 9.0, text, speaker="<b>"), spoken(("next", 10.0)))
    options = SubtitleOptions(highlight_words=highlight)
    captions = webvtt.from_string(render(said, "vtt", options)).captions
    assert len(captions) == len(list(cues(said, options)))
    for caption in captions[:-1]:
        raw = caption.raw_text.removeprefix("<v &lt;b&gt;>").replace("<u>", "").replace("</u>", "")
        assert "<" not in raw
        assert unescape(raw) == clean(text)
